// SPDX-License-Identifier: GPL-2.0-only
// ReservedPorts on a file that stands in for the sysctl: what others put there stays, what was added goes again, also
// after a process that could not clean up.
#include "holder/reserved_ports.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.hpp"

namespace nfr::holder {
namespace {

class ReservedPortsTest : public ::testing::Test {
 protected:
  ReservedPortsTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "nfr-reserved-XXXXXX";
    directory = ::mkdtemp(pattern.data());
    sysctl = directory + "/sysctl";
    write("");
  }
  ~ReservedPortsTest() override { std::filesystem::remove_all(directory); }
  // As the kernel does it: a write replaces the whole list.
  void write(const std::string& text) { std::ofstream(sysctl) << text << "\n"; }
  std::string content() {
    const auto text = read_small_file(sysctl, 65536);
    const auto ports = parse_port_list(text ? text->substr(0, text->find('\n')) : "unreadable");
    return ports ? port_list_text(*ports) : "?";
  }
  std::string directory;
  std::string sysctl;
};

TEST(PortList, ReadsAndWritesWhatTheKernelPrints) {
  for (const char* text : {"", "80", "80,443", "1000-1003,5000", "65535"}) {
    const auto ports = parse_port_list(text);
    ASSERT_TRUE(ports) << text;
    EXPECT_EQ(port_list_text(*ports), text);
  }
  EXPECT_EQ(port_list_text({5, 6, 7, 9}), "5-7,9");
  EXPECT_FALSE(parse_port_list("80,x"));
  EXPECT_FALSE(parse_port_list("9-8"));
}

TEST_F(ReservedPortsTest, AddsChangesAndTakesOutItsOwn) {
  write("32768,40000-40002");
  {
    ReservedPorts reserved(directory, sysctl);
    reserved.set({8888, 40001, 50000});
    EXPECT_EQ(content(), "8888,32768,40000-40002,50000");
    reserved.set({50000, 50001});
    EXPECT_EQ(content(), "32768,40000-40002,50000-50001") << "40001 was another's";
  }
  EXPECT_EQ(content(), "32768,40000-40002");
  EXPECT_FALSE(std::filesystem::exists(directory + "/reserved-ports"));
}

TEST_F(ReservedPortsTest, AfterAKillTheNextProcessTakesOutWhatWasLeft) {
  write("700");
  // Not destroyed, as after kill -9; static, so that it is no leak.
  static auto* const killed = new ReservedPorts(directory, sysctl);
  killed->set({8888, 9999});
  EXPECT_EQ(content(), "700,8888,9999");
  const ReservedPorts next(directory, sysctl);
  EXPECT_EQ(content(), "700");
}

TEST_F(ReservedPortsTest, WithoutTheRightNothingHappens) {
  ReservedPorts reserved(directory, directory + "/missing/sysctl");
  reserved.set({8888});
  reserved.set({8889});
  EXPECT_FALSE(std::filesystem::exists(directory + "/reserved-ports"));
}

}  // namespace
}  // namespace nfr::holder
