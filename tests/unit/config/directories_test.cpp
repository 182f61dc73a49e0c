// SPDX-License-Identifier: GPL-2.0-only
// Flag before environment before config file before default, for every path and for both daemons.
#include "config/directories.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace nfr::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Environment environment(std::map<std::string, std::string> variables, uid_t uid = 0) {
  Environment environment;
  environment.variable = [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
  environment.uid = uid;
  environment.home = "/home/ada";
  environment.working_dir = "/work dir";
  return environment;
}

Directories resolved(Role role, const PathFlags& flags, const Environment& environment, const PathKeys& keys) {
  const auto directories = resolve_directories(role, flags, environment, keys);
  EXPECT_TRUE(directories) << directories.error().message();
  return directories ? *directories : Directories{};
}

TEST(Directories, DefaultsOfRoot) {
  const auto relay = resolved(Role::kRelay, {}, environment({}), {});
  EXPECT_EQ(relay.state, "/var/lib/netferry/relay");
  EXPECT_EQ(relay.run, "/run/netferry");
  EXPECT_EQ(relay.bpffs, "/sys/fs/bpf/netferry");
  EXPECT_EQ(relay.socket, "/run/netferry/ctl.sock");
  const auto agent = resolved(Role::kAgent, {}, environment({{"XDG_RUNTIME_DIR", "/run/user/0"}}), {});
  EXPECT_EQ(agent.state, "/var/lib/netferry/agent");
  EXPECT_EQ(agent.run, "/run/netferry");
  EXPECT_EQ(agent.socket, "/run/netferry/agent.sock");
}

TEST(Directories, DefaultsWithoutRoot) {
  const auto with_runtime = resolved(Role::kRelay, {}, environment({{"XDG_RUNTIME_DIR", "/run/user/1000"}}, 1000), {});
  EXPECT_EQ(with_runtime.state, "/home/ada/.local/state/netferry/relay");
  EXPECT_EQ(with_runtime.run, "/run/user/1000/netferry");
  EXPECT_EQ(with_runtime.socket, "/run/user/1000/netferry/ctl.sock");
  const auto without = resolved(Role::kAgent, {}, environment({}, 1000), {});
  EXPECT_EQ(without.run, "/home/ada/.local/state/netferry/agent/run");
  EXPECT_EQ(without.socket, "/home/ada/.local/state/netferry/agent/run/agent.sock");
  const auto relative = resolved(Role::kRelay, {}, environment({{"XDG_RUNTIME_DIR", "tmp"}}, 1000), {});
  EXPECT_EQ(relative.run, "/home/ada/.local/state/netferry/relay/run");
  PathFlags flags;
  flags.state = "/my/state";
  EXPECT_EQ(resolved(Role::kRelay, flags, environment({}, 1000), {}).run, "/my/state/run");
}

TEST(Directories, FlagThenEnvironmentThenKeyThenDefault) {
  PathFlags flags;
  PathKeys keys{"/k/state", "/k/run", "/k/bpffs", "/k/socket"};
  const auto from_keys = resolved(Role::kRelay, flags, environment({}), keys);
  EXPECT_EQ(from_keys.state, "/k/state");
  EXPECT_EQ(from_keys.run, "/k/run");
  EXPECT_EQ(from_keys.bpffs, "/k/bpffs");
  EXPECT_EQ(from_keys.socket, "/k/socket");
  const auto variables = environment({{"NETFERRY_STATE", "/e/state"},
                                      {"NETFERRY_RUN", "/e/run"},
                                      {"NETFERRY_BPFFS", "/e/bpffs"},
                                      {"NETFERRY_SOCKET", "/e/socket"}});
  const auto from_environment = resolved(Role::kRelay, flags, variables, keys);
  EXPECT_EQ(from_environment.state, "/e/state");
  EXPECT_EQ(from_environment.run, "/e/run");
  EXPECT_EQ(from_environment.bpffs, "/e/bpffs");
  EXPECT_EQ(from_environment.socket, "/e/socket");
  flags.state = "/f/state";
  flags.run = "/f/run";
  flags.bpffs = "/f/bpffs";
  flags.socket = "/f/socket";
  const auto from_flags = resolved(Role::kRelay, flags, variables, keys);
  EXPECT_EQ(from_flags.state, "/f/state");
  EXPECT_EQ(from_flags.run, "/f/run");
  EXPECT_EQ(from_flags.bpffs, "/f/bpffs");
  EXPECT_EQ(from_flags.socket, "/f/socket");
}

TEST(Directories, SocketFollowsTheRunDirectory) {
  PathFlags flags;
  flags.run = "/f/run/";
  EXPECT_EQ(resolved(Role::kRelay, flags, environment({}), {}).socket, "/f/run/ctl.sock");
  EXPECT_EQ(resolved(Role::kRelay, flags, environment({}), {}).run, "/f/run");
}

TEST(Directories, EmptyVariableIsUnsetAndEmptyFlagIsAnError) {
  EXPECT_EQ(resolved(Role::kRelay, {}, environment({{"NETFERRY_RUN", ""}}), {}).run, "/run/netferry");
  PathFlags flags;
  flags.run = "";
  const auto directories = resolve_directories(Role::kRelay, flags, environment({}), {});
  ASSERT_FALSE(directories);
  EXPECT_THAT(directories.error().message(), HasSubstr("--run"));
}

TEST(Directories, RelativePathsStartAtTheWorkingDirectory) {
  PathFlags flags;
  flags.state = "mine";
  EXPECT_EQ(resolved(Role::kRelay, flags, environment({{"NETFERRY_RUN", "r"}}), {}).state, "/work dir/mine");
  EXPECT_EQ(resolved(Role::kRelay, flags, environment({{"NETFERRY_RUN", "r"}}), {}).run, "/work dir/r");
  auto lost = environment({});
  lost.working_dir.clear();
  const auto directories = resolve_directories(Role::kRelay, flags, lost, {});
  ASSERT_FALSE(directories);
  EXPECT_THAT(directories.error().message(), AllOf(HasSubstr("--state = mine"), HasSubstr("absolute")));
}

TEST(Directories, NoHomeNamesTheFlag) {
  auto homeless = environment({}, 1000);
  homeless.home.clear();
  const auto directories = resolve_directories(Role::kAgent, {}, homeless, {});
  ASSERT_FALSE(directories);
  EXPECT_THAT(directories.error().message(), AllOf(HasSubstr("HOME"), HasSubstr("--state DIR")));
  PathFlags flags;
  flags.state = "/s";
  EXPECT_EQ(resolved(Role::kAgent, flags, homeless, {}).run, "/s/run");
}

TEST(Directories, SocketPathThatLinuxCannotBindIsRefused) {
  PathFlags flags;
  flags.socket = "/" + std::string(106, 's');
  EXPECT_EQ(resolved(Role::kRelay, flags, environment({}), {}).socket.size(), 107u);
  *flags.socket += "s";
  const auto directories = resolve_directories(Role::kRelay, flags, environment({}), {});
  ASSERT_FALSE(directories);
  EXPECT_THAT(directories.error().message(), AllOf(HasSubstr("108 bytes"), HasSubstr("107"), HasSubstr("--socket")));
}

TEST(Directories, ConfigFileIsNamedOrDefault) {
  const auto relay = resolve_config_file(Role::kRelay, {}, environment({}));
  EXPECT_EQ(relay->path, "/etc/netferry/relay.toml");
  EXPECT_FALSE(relay->named);
  EXPECT_EQ(resolve_config_file(Role::kAgent, {}, environment({}))->path, "/etc/netferry/agent.toml");
  const auto variables = environment({{"NETFERRY_CONFIG", "/e.toml"}});
  EXPECT_EQ(resolve_config_file(Role::kAgent, {}, variables)->path, "/e.toml");
  EXPECT_TRUE(resolve_config_file(Role::kAgent, {}, variables)->named);
  PathFlags flags;
  flags.config = "f.toml";
  EXPECT_EQ(resolve_config_file(Role::kAgent, flags, variables)->path, "/work dir/f.toml");
}

TEST(Directories, TheProcessHasAnEnvironment) {
  const Environment own = Environment::of_process();
  EXPECT_TRUE(own.variable("PATH"));
  EXPECT_FALSE(own.variable("NETFERRY_NO_SUCH_VARIABLE"));
  EXPECT_TRUE(own.working_dir.starts_with('/'));
}

}  // namespace
}  // namespace nfr::config
