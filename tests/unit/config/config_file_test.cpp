// SPDX-License-Identifier: GPL-2.0-only
// Reading config files: missing, named and missing, a directory, too long; and the loaders end to end.
#include "config/config_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "config/agent_config.hpp"
#include "config/relay_config.hpp"

namespace nfr::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ConfigFiles : public ::testing::Test {
 protected:
  ConfigFiles() {
    std::string pattern = (std::filesystem::temp_directory_path() / "nfr-config-XXXXXX").string();
    NFR_ASSERT(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
  }
  ~ConfigFiles() override { std::filesystem::remove_all(directory_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
    return directory_ + "/" + name;
  }
  std::string directory_;
};

TEST_F(ConfigFiles, MissingDefaultMeansDefaults) {
  const auto relay = load_relay_config({directory_ + "/relay.toml", false});
  ASSERT_TRUE(relay) << relay.error().message();
  EXPECT_EQ(relay->listen.at(0).port.value, 7707);
  EXPECT_TRUE(load_agent_config({directory_ + "/no/such/agent.toml", false}));
}

TEST_F(ConfigFiles, MissingNamedFileIsAnError) {
  const auto relay = load_relay_config({directory_ + "/relay.toml", true});
  ASSERT_FALSE(relay);
  EXPECT_THAT(relay.error().message(), AllOf(HasSubstr(directory_ + "/relay.toml"), HasSubstr("No such file")));
  EXPECT_EQ(relay.error().os_errno(), ENOENT);
  EXPECT_FALSE(load_agent_config({directory_ + "/agent.toml", true}));
}

TEST_F(ConfigFiles, FileIsReadAndNamedInErrors) {
  const std::string path = write("relay.toml", "workers = 3\n");
  EXPECT_EQ(load_relay_config({path, false})->workers, 3u);
  EXPECT_EQ(load_relay_config({path, true})->workers, 3u);
  const std::string wrong = write("wrong.toml", "\nlisen = 1\n");
  const auto relay = load_relay_config({wrong, true});
  ASSERT_FALSE(relay);
  EXPECT_EQ(relay.error().message(), wrong + ", line 2: unknown key 'lisen'; did you mean 'listen'?");
  const auto agent = load_agent_config({write("agent.toml", "leg_min = 'tls'"), true});
  EXPECT_EQ(agent->leg_min, core::Leg::kTls);
}

TEST_F(ConfigFiles, DirectoryAndEndlessFileAreErrors) {
  const auto directory = read_config_file({directory_, true});
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().message(), HasSubstr("Is a directory"));
  EXPECT_FALSE(read_config_file({directory_, false})) << "also where nobody named it";
  const auto endless = read_config_file({"/dev/zero", true});
  ASSERT_FALSE(endless);
  EXPECT_THAT(endless.error().message(), AllOf(HasSubstr("/dev/zero"), HasSubstr("longer than 1048576 bytes")));
}

}  // namespace
}  // namespace nfr::config
