// SPDX-License-Identifier: GPL-2.0-only
// Every admin command on the real policy in the simulated world: the members that nfctl reads are there with their
// types, and what cannot be done is an error that says what to do.
#include "relayd/commands.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "harness/sim/world.hpp"
#include "nfr/admin/admin.h"
#include "relayd/options.hpp"

namespace nfr::relayd {
namespace {

using nlohmann::json;

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() {
    spdlog::set_level(spdlog::level::off);
    commands = std::make_unique<Commands>(*world.relay, world.keys, world.clock,
                                          RelayFacts{"203.0.113.5", "", true, {"no ports below 1024"}, "io_uring", 2});
  }

  Result<json> ask(const std::string& cmd, const json& args = json::object()) {
    std::optional<Result<json>> answer;
    commands->handle(cmd, args, admin::PeerCredentials{}, [&](Result<json> result) {
      EXPECT_FALSE(answer) << cmd << " answered twice";
      answer = std::move(result);
    });
    world.run_for(std::chrono::seconds(8));
    EXPECT_TRUE(answer) << cmd << " did not answer";
    return answer ? *answer : Error(Code::kTimeout, "no answer");
  }
  std::string error_of(const std::string& cmd, const json& args = json::object()) {
    const auto answer = ask(cmd, args);
    return answer ? "(done) " + answer->dump() : answer.error().message();
  }
  json map_8888() {
    world.join(world.add_machine(), "client1");
    world.run_for(std::chrono::seconds(1));
    return *ask("map", {{"public", "8888"}, {"agent", "client1"}, {"target", "3306"}});
  }

  sim::World world{11};
  std::unique_ptr<Commands> commands;
};

void has_members(const json& object, const std::map<std::string, json::value_t>& members) {
  for (const auto& [name, type] : members) {
    ASSERT_TRUE(object.contains(name)) << name << " in " << object;
    EXPECT_EQ(object[name].type(), type) << name << " in " << object;
  }
}

constexpr auto kText = json::value_t::string;
constexpr auto kCount = json::value_t::number_unsigned;
constexpr auto kWhole = json::value_t::number_integer;

TEST_F(CommandsTest, EveryCommandOfTheContractIsKnown) {
#define NFR_ASK(name, text) EXPECT_EQ(error_of(name).find("is not known"), std::string::npos) << name;
  NFR_ADMIN_COMMANDS(NFR_ASK)
#undef NFR_ASK
  EXPECT_EQ(error_of("frob\x1b"), "command 'frob\\x1b' is not known");
  EXPECT_EQ(ask("").error().code(), Code::kInvalid);
}

TEST_F(CommandsTest, AJoinLineThatNamesAPrivateAddressIsWarnedOf) {
  EXPECT_EQ((*ask("agent.add", {{"name", "client1"}}))["warnings"], json::array());
  RelayFacts facts;
  facts.address_doubt = public_host_doubt({"172.31.0.5", "2001:db8::1"}, false, "/etc/netferry/relay.toml");
  commands->set_facts(facts);
  const json made = *ask("agent.rejoin", {{"name", "client1"}});
  ASSERT_EQ(made["warnings"].size(), 1u);
  EXPECT_NE(made["warnings"][0].get<std::string>().find("172.31.0.5 comes from the default route"), std::string::npos);
}

TEST_F(CommandsTest, AnAgentFromItsJoinLineToItsRemoval) {
  const json made = *ask("agent.add", {{"name", "client1"}});
  has_members(made, {{"name", kText}, {"join_line", kText}, {"expires", kWhole}});
  EXPECT_TRUE(proto::decode_join_line(made["join_line"].get<std::string>()));
  json agent = (*ask("agent.list"))["agents"][0];
  EXPECT_EQ(agent["state"], "unused");
  EXPECT_EQ(agent["key"], nullptr);
  world.join(world.add_machine(), "client1");
  world.run_for(std::chrono::seconds(1));
  agent = (*ask("agent.list"))["agents"][0];
  EXPECT_EQ(agent["state"], "connected");
  has_members(agent, {{"address", kText},
                      {"since", kWhole},
                      {"key", kText},
                      {"mappings", kCount},
                      {"flows", kCount},
                      {"instance", kText},
                      {"software", kText}});
  EXPECT_EQ(*ask("agent.revoke", {{"name", "client1"}}), (json{{"name", "client1"}, {"flows_cut", 0}}));
  EXPECT_EQ((*ask("agent.list"))["agents"][0]["state"], "revoked");
  EXPECT_TRUE(ask("agent.rejoin", {{"name", "client1"}}));
  EXPECT_EQ(*ask("agent.remove", {{"name", "client1"}}), (json{{"name", "client1"}, {"flows_cut", 0}}));
  EXPECT_TRUE((*ask("agent.list"))["agents"].empty());
}

TEST_F(CommandsTest, AMappingFromItsProbeToItsEnd) {
  const json mapped = map_8888();
  EXPECT_EQ(mapped["public"], "8888/tcp");
  EXPECT_EQ(mapped["address"], "203.0.113.5:8888");
  EXPECT_EQ(mapped["agent"], "client1");
  EXPECT_EQ(mapped["target"], "127.0.0.1:3306");
  EXPECT_EQ(mapped["probe"]["state"], "answers") << mapped;
  EXPECT_TRUE(mapped["probe"]["ms"].is_number_float());
  EXPECT_TRUE(mapped["warnings"].is_array());
  const json mapping = (*ask("maps"))["mappings"][0];
  has_members(mapping, {{"public", kText},
                        {"agent", kText},
                        {"target", kText},
                        {"leg", kText},
                        {"flows", kCount},
                        {"in_bytes", kCount},
                        {"out_bytes", kCount},
                        {"idle_timeout_ms", kWhole},
                        {"state", kText}});
  EXPECT_EQ(mapping["state"], "ok");
  world.machines[0]->crash();
  world.run_for(std::chrono::seconds(20));
  EXPECT_EQ((*ask("maps"))["mappings"][0]["state"], "agent away");
  const json gone = *ask("unmap", {{"public", "8888"}});
  EXPECT_EQ(gone, (json{{"public", "8888/tcp"}, {"flows_running", 0}, {"flows_cut", 0}}));
  EXPECT_TRUE((*ask("maps"))["mappings"].empty());
}

TEST_F(CommandsTest, FlowsAreShownWhileTheyRunAndAfterwards) {
  map_8888();
  const core::MappingId mapping = world.relay->mappings().all().begin()->first;
  world.visit(mapping);
  std::vector<json> seen;
  for (int i = 0; i < 200 && seen.empty(); ++i) {
    world.run_for(std::chrono::milliseconds(2));
    commands->handle("flows", {}, {}, [&](Result<json> answer) {
      for (const json& flow : (*answer)["flows"]) seen.push_back(flow);
    });
  }
  ASSERT_FALSE(seen.empty());
  has_members(seen[0], {{"visitor", kText},
                        {"public", kText},
                        {"agent", kText},
                        {"leg", kText},
                        {"tier", kText},
                        {"why", kText},
                        {"age_ms", kWhole},
                        {"in_bytes", kCount},
                        {"out_bytes", kCount},
                        {"state", kText}});
  world.machines[0]->crash();
  world.run_for(std::chrono::seconds(60));
  world.visit(mapping);
  world.run_for(std::chrono::seconds(20));
  const json events = (*ask("flows", {{"recent", true}}))["events"];
  ASSERT_FALSE(events.empty());
  has_members(events[0], {{"time", kWhole},
                          {"visitor", kText},
                          {"public", kText},
                          {"verdict", kText},
                          {"detail", kText},
                          {"in_bytes", kCount},
                          {"out_bytes", kCount}});
}

TEST_F(CommandsTest, StatusKeysAndVersionHaveWhatNfctlReads) {
  const json status = *ask("status");
  has_members(status, {{"address", kText},
                       {"uptime_s", kWhole},
                       {"agents", kCount},
                       {"agents_connected", kCount},
                       {"mappings", kCount},
                       {"flows", kCount},
                       {"relay_key", kText},
                       {"next_key", kText}});
  EXPECT_EQ(status["limits"]["flows"], (json{{"used", 0}, {"max", 200'000}}));
  EXPECT_EQ(status["shortage"], "");
  has_members(status["pool"], {{"ready", kCount},
                               {"asked", kCount},
                               {"wanted", kCount},
                               {"max", kCount},
                               {"hits", kCount},
                               {"misses", kCount},
                               {"aged", kCount},
                               {"died", kCount},
                               {"failed", kCount},
                               {"given_up", kCount}});
  world.relay->set_descriptors({.limit = 400, .fixed = 104, .listeners = 6, .sessions = 2});
  EXPECT_EQ((*ask("status"))["limits"]["flows"], (json{{"used", 0}, {"max", 119}}));
  EXPECT_EQ(status["tiers"][0]["name"], "user");
  EXPECT_EQ(status["missing"], (json{"no ports below 1024"}));
  EXPECT_EQ(*ask("version"), (json{{"version", NFR_VERSION}, {"api", NFR_ADMIN_VERSION}}));
  const json before = *ask("key.show");
  const json after = *ask("key.rotate");
  EXPECT_EQ(after["current"], before["next"]);
  EXPECT_NE(after["next"], before["next"]);
  EXPECT_EQ(after["sessions_told"], 0);
}

TEST_F(CommandsTest, WhatCannotBeDoneSaysWhatToDo) {
  for (const char* cmd : {"agent.revoke", "agent.rejoin", "agent.remove"}) {
    const auto unknown = ask(cmd, {{"name", "client9"}});
    ASSERT_FALSE(unknown) << cmd;
    EXPECT_EQ(unknown.error().code(), Code::kNotFound);
    EXPECT_NE(unknown.error().message().find("client9"), std::string::npos) << unknown.error().message();
  }
  EXPECT_NE(error_of("agent.add", {{"name", "Client 1\n"}}).find("'Client 1\\x0a' is not an agent name"),
            std::string::npos);
  EXPECT_NE(error_of("agent.add").find("'' is not an agent name"), std::string::npos);
  ASSERT_TRUE(ask("agent.add", {{"name", "client1"}}));
  EXPECT_EQ(ask("agent.add", {{"name", "client1"}}).error().code(), Code::kExists);
  EXPECT_EQ(ask("unmap", {{"public", "9999"}}).error().code(), Code::kNotFound);
  const auto nobody = ask("map", {{"public", "8888"}, {"agent", "client9"}, {"target", "3306"}});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code(), Code::kNotFound);
  world.store.fail_writes = 1;
  EXPECT_NE(error_of("agent.add", {{"name", "client2"}}).find("disk full"), std::string::npos);
}

}  // namespace
}  // namespace nfr::relayd
