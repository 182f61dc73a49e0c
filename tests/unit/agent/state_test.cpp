// SPDX-License-Identifier: GPL-2.0-only
// What an agent keeps on disk: a join that is cut off anywhere loses nothing, damaged files are told with what to do,
// two agents never share a state.
#include "agent/state.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "agent/targets.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "harness/sim/basics.hpp"
#include "harness/temp_dir.hpp"

namespace nfr::agent {
namespace {

proto::JoinLine line_of(const std::string& name) {
  proto::JoinLine line;
  line.addresses = {"203.0.113.5:7707", "relay.example.org:7707"};
  line.pins[0].fill(std::byte{1});
  line.pins[1].fill(std::byte{2});
  line.name = name;
  line.token.fill(std::byte{7});
  return line;
}

class StateTest : public ::testing::Test {
 protected:
  State open() {
    auto state = State::open(path());
    EXPECT_TRUE(state) << state.error().message();
    return std::move(*state);
  }
  std::string path() const { return directory.file("state"); }
  std::string file(const std::string& name) const { return path() + "/" + name; }
  void write(const std::string& name, const std::string& content) { std::ofstream(file(name)) << content; }
  std::string load_error() { return open().load().error().message(); }

  test::TempDir directory;
};

TEST_F(StateTest, AMachineThatNeverJoinedIsToldHow) {
  const auto none = open().load();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), Code::kNotFound);
  EXPECT_NE(none.error().message().find("nfctl agent add NAME, here nfagent join LINE"), std::string::npos);
}

TEST_F(StateTest, AJoinLeadsUntilItIsFinished) {
  State state = open();
  const auto begun = state.begin_join(line_of("client1"));
  ASSERT_TRUE(begun) << begun.error().message();
  EXPECT_EQ(begun->token, std::string(16, '\7'));
  const auto under_way = state.load();
  ASSERT_TRUE(under_way);
  EXPECT_EQ(under_way->token, begun->token);
  EXPECT_EQ(under_way->identity->pin(), begun->identity->pin());
  ASSERT_TRUE(state.finish_join());
  const auto joined = state.load();
  ASSERT_TRUE(joined) << joined.error().message();
  EXPECT_EQ(joined->token, "");
  EXPECT_EQ(joined->name, "client1");
  EXPECT_EQ(joined->addresses, line_of("").addresses);
  EXPECT_EQ(joined->pins, line_of("").pins);
  EXPECT_EQ(joined->identity->pin(), begun->identity->pin());
  EXPECT_TRUE(state.finish_join()) << "again: nothing to do";
}

TEST_F(StateTest, ARefusedJoinLeavesTheOldMembership) {
  State state = open();
  ASSERT_TRUE(state.begin_join(line_of("client1")));
  ASSERT_TRUE(state.finish_join());
  ASSERT_TRUE(state.begin_join(line_of("client2")));
  EXPECT_EQ(state.load()->name, "client2");
  state.abandon_join();
  EXPECT_EQ(state.load()->name, "client1");
}

TEST_F(StateTest, EveryPlaceWhereACrashCanCutOffAJoin) {
  {
    State state = open();
    ASSERT_TRUE(state.begin_join(line_of("client1")));
  }
  // Before join.json: a lone key is not looked at.
  std::filesystem::rename(file("join.json"), file("aside"));
  EXPECT_NE(load_error().find("has not joined"), std::string::npos);
  std::filesystem::rename(file("aside"), file("join.json"));
  // After relay.key and relay.json, before join.json went: the join leads, and finishing it again works.
  std::filesystem::copy(file("join.key"), file("relay.key"));
  std::filesystem::copy(file("join.json"), file("relay.json"));
  State state = open();
  EXPECT_NE(state.load()->token, "");
  ASSERT_TRUE(state.finish_join());
  EXPECT_EQ(state.load()->token, "");
  EXPECT_FALSE(std::filesystem::exists(file("join.key")));
}

TEST_F(StateTest, NewPinsAreStoredWhereverTheAgentStands) {
  State state = open();
  ASSERT_TRUE(state.begin_join(line_of("client1")));
  std::array<core::Pin, 2> pins = line_of("").pins;
  pins[0].fill(std::byte{9});
  ASSERT_TRUE(state.save_pins(pins));
  EXPECT_EQ(state.load()->pins, pins);
  ASSERT_TRUE(state.finish_join());
  EXPECT_EQ(state.load()->pins, pins);
  pins[1].fill(std::byte{10});
  ASSERT_TRUE(state.save_pins(pins));
  EXPECT_EQ(state.load()->pins, pins);
}

TEST_F(StateTest, FilesArePrivate) {
  State state = open();
  ASSERT_TRUE(state.begin_join(line_of("client1")));
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  for (const char* name : {"join.json", "join.key", "lock"}) {
    ASSERT_EQ(::stat(file(name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600U) << name;
  }
}

TEST_F(StateTest, ASecondAgentIsToldWhoHasIt) {
  const State first = open();
  const auto second = State::open(path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kExists);
  EXPECT_NE(second.error().message().find("another nfagent runs with the state in " + path()), std::string::npos);
}

TEST_F(StateTest, DamagedFilesAreToldWithWhatToDo) {
  {
    State state = open();
    ASSERT_TRUE(state.begin_join(line_of("client1")));
    ASSERT_TRUE(state.finish_join());
  }
  const std::string whole = *read_small_file(file("relay.json"), 4096);
  for (const char* content :
       {"", "[]", "{", "{}", R"({"addresses":"x:1","pins":["a","b"],"name":"n"})",
        R"({"addresses":[],"pins":[],"name":1})", R"({"addresses":["x:1"],"pins":{"a":1,"b":2},"name":"n"})",
        R"({"addresses":["x:1"],"pins":["AA","AA"],"name":"n"})"}) {
    write("relay.json", content);
    const std::string error = load_error();
    EXPECT_NE(error.find("relay.json"), std::string::npos) << error;
    EXPECT_NE(error.find("nfctl agent rejoin NAME"), std::string::npos) << error;
  }
  for (std::size_t size = 0; size < whole.size() - 2; ++size) {
    write("relay.json", whole.substr(0, size));
    ASSERT_FALSE(open().load()) << size;
  }
  write("relay.json", whole);
  write("relay.key", "no key");
  EXPECT_NE(load_error().find("relay.key"), std::string::npos);
  write("relay.json", std::string(70'000, ' '));
  EXPECT_NE(load_error().find("larger than"), std::string::npos);
}

TEST_F(StateTest, AStateThatCannotBeMadeNamesThePath) {
  std::ofstream(directory.file("plain")) << "x";
  const auto state = State::open(directory.file("plain") + "/state");
  ASSERT_FALSE(state);
  EXPECT_NE(state.error().message().find("plain/state"), std::string::npos) << state.error().message();
}

TEST_F(StateTest, AllowedRulesAddUpOnceEach) {
  const State state = open();
  EXPECT_TRUE(state.allowed_rules()->empty());
  ASSERT_TRUE(State::add_allowed_rules(path(), {"192.168.1.0/24", "lan"}));
  ASSERT_TRUE(State::add_allowed_rules(path(), {"lan", "10.0.0.1:22"}));
  EXPECT_EQ(*state.allowed_rules(), (std::vector<std::string>{"192.168.1.0/24", "lan", "10.0.0.1:22"}));
  const Status bad = State::add_allowed_rules(path(), {"10.0.0.2", "10.0.0.1/8"});
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message().find("10.0.0.1/8"), std::string::npos);
  EXPECT_EQ(state.allowed_rules()->size(), 3U) << "none of a bad list is kept";
  write("allow.json", "{}");
  EXPECT_NE(state.allowed_rules().error().message().find("allow.json is not a list"), std::string::npos);
  EXPECT_FALSE(State::add_allowed_rules(path(), {"lan"})) << "a damaged list is not overwritten";
}

class TargetsTest : public StateTest {
 protected:
  TargetsTest() { spdlog::set_level(spdlog::level::off); }
  static net::Endpoint at(const char* text) { return *net::Endpoint::parse(text); }
  bool later(Targets& targets, const char* text) {
    clock.advance_to(clock.now() + std::chrono::seconds(2));
    return targets.allowed(at(text));
  }
  sim::SimClock clock;
};

TEST_F(TargetsTest, ThisMachineOnlyUntilMoreIsAllowed) {
  const State state = open();
  Targets targets(core::AllowList(), path(), clock);
  EXPECT_TRUE(targets.allowed(at("127.0.0.1:22")));
  EXPECT_TRUE(targets.allowed(at("[::1]:22")));
  EXPECT_FALSE(targets.allowed(at("192.168.77.5:22")));
  EXPECT_FALSE(targets.allowed(at("169.254.169.254:80")));
  ASSERT_TRUE(State::add_allowed_rules(path(), {"192.168.77.0/24:22"}));
  EXPECT_FALSE(targets.allowed(at("192.168.77.5:22"))) << "the file is looked at once a second";
  EXPECT_TRUE(later(targets, "192.168.77.5:22"));
  EXPECT_FALSE(targets.allowed(at("192.168.77.5:23")));
}

TEST_F(TargetsTest, AListThatCannotBeReadAllowsNothingMore) {
  const State state = open();
  ASSERT_TRUE(State::add_allowed_rules(path(), {"192.168.77.0/24"}));
  Targets targets(core::AllowList(), path(), clock);
  EXPECT_TRUE(targets.allowed(at("192.168.77.5:22")));
  for (const char* content : {"{}", "[\"10.0.0.1/8\"]", "[", ""}) {
    write("allow.json", content);
    EXPECT_FALSE(later(targets, "192.168.77.5:22")) << content;
    EXPECT_TRUE(targets.allowed(at("127.0.0.1:22"))) << "the configured list still holds";
  }
  write("allow.json", "[\"192.168.77.5\"]");
  EXPECT_TRUE(later(targets, "192.168.77.5:22")) << "and is read again once it was put right";
}

}  // namespace
}  // namespace nfr::agent
