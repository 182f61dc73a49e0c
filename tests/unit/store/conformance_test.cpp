// SPDX-License-Identifier: GPL-2.0-only
// One suite over every StateStore: what control may rely on, whether the state is on a disk or in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "harness/temp_dir.hpp"
#include "samples.hpp"
#include "store/memory_store.hpp"
#include "store/sqlite_store.hpp"

namespace nfr::store {
namespace {

using core::AgentId;
using core::MappingId;
using ::testing::HasSubstr;

struct Kind {
  const char* name;
  std::function<std::unique_ptr<core::StateStore>(const std::string& path)> open;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class Conformance : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    store_ = GetParam().open(directory_.file("state.db"));
    ASSERT_NE(store_, nullptr);
  }
  AgentId add_agent(const std::string& name) {
    const auto id = store_->put_agent(sample_agent(name));
    EXPECT_TRUE(id) << id.error().message();
    return id ? *id : AgentId{};
  }
  MappingId add_mapping(AgentId agent, const std::string& endpoint) {
    const auto id = store_->put_mapping(sample_mapping(agent, endpoint));
    EXPECT_TRUE(id) << id.error().message();
    return id ? *id : MappingId{};
  }
  core::StateStore::State state() {
    auto state = store_->load();
    EXPECT_TRUE(state) << state.error().message();
    return state ? *state : core::StateStore::State{};
  }

  test::TempDir directory_;
  std::unique_ptr<core::StateStore> store_;
};

TEST_P(Conformance, StartsEmpty) {
  EXPECT_TRUE(state().agents.empty());
  EXPECT_TRUE(state().mappings.empty());
}

TEST_P(Conformance, EveryFieldOfAnAgentComesBack) {
  const AgentId id = add_agent("client1");
  const auto agents = state().agents;
  ASSERT_EQ(agents.size(), 1u);
  const auto expected = sample_agent("client1");
  EXPECT_EQ(agents[0].id, id);
  EXPECT_EQ(agents[0].name, "client1");
  EXPECT_EQ(agents[0].key, expected.key);
  EXPECT_EQ(agents[0].token_hash, expected.token_hash);
  EXPECT_EQ(agents[0].token_expires, expected.token_expires);
  EXPECT_TRUE(agents[0].revoked);
  EXPECT_EQ(agents[0].rights, expected.rights);
  EXPECT_EQ(agents[0].created, expected.created);
}

TEST_P(Conformance, AbsentFieldsOfAnAgentComeBackAbsent) {
  core::AgentRecord record;
  record.name = "bare";
  ASSERT_TRUE(store_->put_agent(record));
  const auto agents = state().agents;
  ASSERT_EQ(agents.size(), 1u);
  EXPECT_FALSE(agents[0].key);
  EXPECT_FALSE(agents[0].token_hash);
  EXPECT_FALSE(agents[0].revoked);
  EXPECT_EQ(agents[0].created, WallTime{});
}

TEST_P(Conformance, EveryFieldOfAMappingComesBack) {
  const AgentId agent = add_agent("client1");
  const MappingId id = add_mapping(agent, "[2001:db8::1]:8888");
  const auto mappings = state().mappings;
  ASSERT_EQ(mappings.size(), 1u);
  const auto expected = sample_mapping(agent, "[2001:db8::1]:8888");
  EXPECT_EQ(mappings[0].id, id);
  EXPECT_EQ(mappings[0].public_ports, expected.public_ports);
  EXPECT_EQ(mappings[0].agent, agent);
  EXPECT_EQ(mappings[0].target, expected.target);
  EXPECT_EQ(mappings[0].leg, core::Leg::kTls);
  EXPECT_EQ(mappings[0].idle_timeout, Millis(90'000));
  EXPECT_EQ(mappings[0].proxy, expected.proxy);
  EXPECT_EQ(mappings[0].admission, expected.admission);
  EXPECT_EQ(mappings[0].origin, expected.origin);
  EXPECT_TRUE(mappings[0].automatic);
  EXPECT_EQ(mappings[0].expires, expected.expires);
  EXPECT_EQ(mappings[0].created, expected.created);
}

TEST_P(Conformance, TargetsOfEveryKindAndRangesComeBack) {
  const AgentId agent = add_agent("client1");
  for (const char* text : {"127.0.0.1:3306", "db.lan:3306", "unix:/run/app.sock"}) {
    auto mapping = sample_mapping(agent, std::to_string(8000 + state().mappings.size()));
    mapping.target = *core::Target::parse(text);
    ASSERT_TRUE(store_->put_mapping(mapping));
    EXPECT_EQ(state().mappings.back().target.text(), text);
  }
  auto range = sample_mapping(agent, "5000-5100");
  range.target = *core::Target::parse("[2001:db8::7]:6000-6100");
  range.admission = {};
  range.expires.reset();
  ASSERT_TRUE(store_->put_mapping(range));
  EXPECT_EQ(state().mappings.back().public_ports.count, 101);
  EXPECT_EQ(state().mappings.back().target, range.target);
  EXPECT_EQ(state().mappings.back().admission, core::Admission{});
  EXPECT_FALSE(state().mappings.back().expires);
}

TEST_P(Conformance, ChangesOfSeveralMappingsAreAllOrNothing) {
  const AgentId agent = add_agent("client1");
  const MappingId first = add_mapping(agent, "8001");
  const MappingId second = add_mapping(agent, "8002");
  auto moved = sample_mapping(agent, "8003");
  moved.id = second;
  // 8001 is free for a new mapping once the old one is gone.
  const auto ids = store_->change_mappings({first}, {moved, sample_mapping(agent, "8001")});
  ASSERT_TRUE(ids) << ids.error().message();
  ASSERT_EQ(ids->size(), 2u);
  EXPECT_EQ((*ids)[0], second);
  const auto before = state().mappings;
  ASSERT_EQ(before.size(), 2u);
  EXPECT_EQ(before[0].public_ports.text(), "8003/tcp");
  EXPECT_EQ(before[1].public_ports.text(), "8001/tcp");
  const auto failed = store_->change_mappings({second}, {sample_mapping(agent, "8005"), sample_mapping(agent, "8001")});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), Code::kExists);
  ASSERT_EQ(state().mappings.size(), 2u);
  EXPECT_EQ(state().mappings[0].public_ports.text(), "8003/tcp");
}

TEST_P(Conformance, ChosenPortsAreRememberedOncePerTargetAndGoWithTheirAgent) {
  const AgentId agent = add_agent("client1");
  const AgentId other = add_agent("client2");
  ASSERT_TRUE(store_->remember_port({agent, "127.0.0.1:3000", net::Port{31000}}));
  ASSERT_TRUE(store_->remember_port({other, "127.0.0.1:3000", net::Port{31001}}));
  ASSERT_TRUE(store_->remember_port({agent, "127.0.0.1:3000", net::Port{31002}}));
  const auto memories = state().memories;
  ASSERT_EQ(memories.size(), 2u);
  EXPECT_EQ(memories[0], (core::PortMemory{other, "127.0.0.1:3000", net::Port{31001}}));
  EXPECT_EQ(memories[1], (core::PortMemory{agent, "127.0.0.1:3000", net::Port{31002}}));
  EXPECT_FALSE(store_->remember_port({agent, "no target", net::Port{31002}}));
  EXPECT_FALSE(store_->remember_port({AgentId{77}, "127.0.0.1:1", net::Port{31002}}));
  ASSERT_TRUE(store_->remove_agent(other));
  EXPECT_EQ(state().memories.size(), 1u);
}

TEST_P(Conformance, WildcardPlainLegAndNoLegComeBack) {
  const AgentId agent = add_agent("client1");
  auto mapping = sample_mapping(agent, "8888");
  mapping.leg = core::Leg::kPlain;
  mapping.idle_timeout = Millis(0);
  ASSERT_TRUE(store_->put_mapping(mapping));
  mapping.public_ports = *core::PublicPorts::parse("192.0.2.1:8889");
  mapping.leg.reset();
  ASSERT_TRUE(store_->put_mapping(mapping));
  const auto mappings = state().mappings;
  ASSERT_EQ(mappings.size(), 2u);
  EXPECT_TRUE(mappings[0].public_ports.first.address.is_wildcard());
  EXPECT_EQ(mappings[0].leg, core::Leg::kPlain);
  EXPECT_EQ(mappings[0].idle_timeout, Millis(0));
  EXPECT_FALSE(mappings[1].leg);
}

TEST_P(Conformance, TimesKeepWholeMillisecondsRoundedDown) {
  auto record = sample_agent("client1");
  record.created = at_ms(1000) + std::chrono::microseconds(999);
  record.token_expires = at_ms(-1000) - std::chrono::microseconds(1);
  ASSERT_TRUE(store_->put_agent(record));
  EXPECT_EQ(state().agents.at(0).created, at_ms(1000));
  EXPECT_EQ(state().agents.at(0).token_expires, at_ms(-1001));
}

TEST_P(Conformance, UpdateReplacesEveryField) {
  core::AgentRecord record = sample_agent("client1");
  record.id = add_agent("client1");
  record.name = "renamed";
  record.key = digest_of(9);
  record.token_hash.reset();
  record.revoked = false;
  const auto same = store_->put_agent(record);
  ASSERT_TRUE(same);
  EXPECT_EQ(*same, record.id);
  const auto agents = state().agents;
  ASSERT_EQ(agents.size(), 1u);
  EXPECT_EQ(agents[0].name, "renamed");
  EXPECT_EQ(agents[0].key, digest_of(9));
  EXPECT_FALSE(agents[0].token_hash);
  EXPECT_FALSE(agents[0].revoked);
}

TEST_P(Conformance, UpdateMovesAMapping) {
  const AgentId first = add_agent("client1");
  const AgentId second = add_agent("client2");
  auto mapping = sample_mapping(second, "8889");
  mapping.id = add_mapping(first, "8888");
  mapping.leg.reset();
  ASSERT_TRUE(store_->put_mapping(mapping));
  const auto mappings = state().mappings;
  ASSERT_EQ(mappings.size(), 1u);
  EXPECT_EQ(mappings[0].agent, second);
  EXPECT_EQ(mappings[0].public_ports.first.port.value, 8889);
  EXPECT_FALSE(mappings[0].leg);
}

TEST_P(Conformance, DuplicateNameIsRefusedAndNamed) {
  add_agent("client1");
  const AgentId second = add_agent("client2");
  const auto inserted = store_->put_agent(sample_agent("client1"));
  ASSERT_FALSE(inserted);
  EXPECT_EQ(inserted.error().code(), Code::kExists);
  EXPECT_THAT(inserted.error().message(), HasSubstr("client1"));
  auto renamed = sample_agent("client1");
  renamed.id = second;
  const auto updated = store_->put_agent(renamed);
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().code(), Code::kExists);
  EXPECT_EQ(state().agents.at(1).name, "client2");
}

TEST_P(Conformance, DuplicatePublicEndpointIsRefusedAndNamed) {
  const AgentId agent = add_agent("client1");
  add_mapping(agent, "8888");
  const MappingId second = add_mapping(agent, "8889");
  const auto inserted = store_->put_mapping(sample_mapping(agent, "8888"));
  ASSERT_FALSE(inserted);
  EXPECT_EQ(inserted.error().code(), Code::kExists);
  EXPECT_THAT(inserted.error().message(), HasSubstr("8888"));
  auto moved = sample_mapping(agent, "8888");
  moved.id = second;
  const auto updated = store_->put_mapping(moved);
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().code(), Code::kExists);
  EXPECT_EQ(state().mappings.at(1).public_ports.first.port.value, 8889);
}

TEST_P(Conformance, UnknownIdsAreNotFound) {
  const AgentId agent = add_agent("client1");
  auto record = sample_agent("client2");
  record.id = AgentId{77};
  EXPECT_EQ(store_->put_agent(record).error().code(), Code::kNotFound);
  EXPECT_EQ(store_->remove_agent(AgentId{77}).error().code(), Code::kNotFound);
  EXPECT_EQ(store_->remove_agent(AgentId{~0ull}).error().code(), Code::kNotFound);
  auto mapping = sample_mapping(agent, "8888");
  mapping.id = MappingId{77};
  EXPECT_EQ(store_->put_mapping(mapping).error().code(), Code::kNotFound);
  EXPECT_EQ(store_->remove_mapping(MappingId{77}).error().code(), Code::kNotFound);
  const auto orphan = store_->put_mapping(sample_mapping(AgentId{77}, "8888"));
  ASSERT_FALSE(orphan);
  EXPECT_EQ(orphan.error().code(), Code::kNotFound);
  EXPECT_THAT(orphan.error().message(), HasSubstr("77"));
  EXPECT_EQ(state().agents.size(), 1u);
  EXPECT_TRUE(state().mappings.empty());
}

TEST_P(Conformance, RemovingAnAgentTakesItsMappingsOnly) {
  const AgentId first = add_agent("client1");
  const AgentId second = add_agent("client2");
  add_mapping(first, "8888");
  add_mapping(second, "8889");
  add_mapping(first, "8890");
  ASSERT_TRUE(store_->remove_agent(first));
  ASSERT_EQ(state().agents.size(), 1u);
  ASSERT_EQ(state().mappings.size(), 1u);
  EXPECT_EQ(state().mappings[0].agent, second);
}

TEST_P(Conformance, IdsAreNeverReused) {
  const AgentId first = add_agent("client1");
  const MappingId mapping = add_mapping(first, "8888");
  ASSERT_TRUE(store_->remove_mapping(mapping));
  EXPECT_GT(add_mapping(first, "8888"), mapping);
  ASSERT_TRUE(store_->remove_agent(first));
  const AgentId second = add_agent("client1");
  EXPECT_GT(second, first);
  EXPECT_NE(second, AgentId{});
}

TEST_P(Conformance, WhatCouldNotBeReadBackIsRefused) {
  const AgentId agent = add_agent("client1");
  EXPECT_EQ(store_->put_agent(sample_agent("two\nlines")).error().code(), Code::kInvalid);
  auto mapping = sample_mapping(agent, "8888");
  mapping.public_ports.first.port.value = 0;
  EXPECT_EQ(store_->put_mapping(mapping).error().code(), Code::kInvalid);
  mapping = sample_mapping(agent, "8888");
  mapping.target.endpoint.port.value = 0;
  EXPECT_EQ(store_->put_mapping(mapping).error().code(), Code::kInvalid);
  mapping = sample_mapping(agent, "8888");
  mapping.idle_timeout = Millis(-5);
  const auto negative = store_->put_mapping(mapping);
  ASSERT_FALSE(negative);
  EXPECT_THAT(negative.error().message(), HasSubstr("-5"));
  EXPECT_TRUE(state().mappings.empty());
}

INSTANTIATE_TEST_SUITE_P(Store, Conformance,
                         ::testing::Values(Kind{"memory",
                                                [](const std::string&) { return std::make_unique<MemoryStore>(); }},
                                           Kind{"sqlite",
                                                [](const std::string& path) -> std::unique_ptr<core::StateStore> {
                                                  auto store = SqliteStore::open(path);
                                                  EXPECT_TRUE(store) << store.error().message();
                                                  if (!store) return nullptr;
                                                  return std::move(*store);
                                                }}),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST(MemoryStore, FailsOnceWhenTold) {
  MemoryStore store;
  const auto id = store.put_agent(sample_agent("client1"));
  ASSERT_TRUE(id);
  store.fail_next(Error(Code::kExhausted, "disk full"));
  const auto failed = store.put_agent(sample_agent("client2"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(), "disk full");
  EXPECT_EQ(store.load()->agents.size(), 1u);
  store.fail_next(Error(Code::kExhausted, "disk full"));
  EXPECT_EQ(store.remove_agent(*id).error().code(), Code::kExhausted);
  EXPECT_TRUE(store.remove_agent(*id));
}

}  // namespace
}  // namespace nfr::store
