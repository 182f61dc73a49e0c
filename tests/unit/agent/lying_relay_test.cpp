// SPDX-License-Identifier: GPL-2.0-only
// A relay that lies: it holds the session's keys, so every MAC is right, but what it asks for is not what this machine
// allows, or not what it announced. The agent refuses by itself and dials nothing.
#include <gtest/gtest.h>
#include <poll.h>

#include "agent/flows.hpp"
#include "harness/loopback.hpp"
#include "proto/start.hpp"
#include "tls/tls.hpp"

namespace nfr::agent {
namespace {

class LyingRelayTest : public test::LoopbackTest {
 protected:
  void SetUp() override {
    LoopbackTest::SetUp();
    relay_listener = test::listen_on_loopback(relay_address);
    target_listener = test::listen_on_loopback(target_address);
    other_listener = test::listen_on_loopback(other_address);
    keys.to_agent.fill(std::byte{1});
    keys.to_relay.fill(std::byte{2});
    resolver = std::make_unique<Resolver>(*loop);
    flows = std::make_unique<Flows>(
        *loop, *resolver, crypto, 16,
        Flows::Hooks{[this](const core::Target& target) { return allowed && target.endpoint == target_address; },
                     [this](std::uint64_t, proto::RefuseReason reason) { failed = reason; },
                     {}});
  }

  void TearDown() override {
    bool stopped = false;
    flows->stop([&] { stopped = true; });
    EXPECT_TRUE(until([&] { return stopped; }));
    flows.reset();
    resolver.reset();
  }

  std::optional<proto::RefuseReason> open(const net::Endpoint& target, Millis wait = {}) {
    return flows->open(proto::Open{kNumber, core::MappingId{7}, core::Target::of(target), core::Leg::kPlain,
                                   core::ProxyHeader::kNone, wait},
                       datapath::DialPlace{relay_address, {}, {}}, kSession, keys);
  }

  /// The relay's end of the channel that was opened, its preface taken off.
  Fd accept_channel() {
    EXPECT_TRUE(until([&] { return waits(relay_listener); }));
    Fd channel(::accept(relay_listener.get(), nullptr, nullptr));
    EXPECT_EQ(receive(channel, NFR_PREFACE_BYTES).size(), std::size_t{NFR_PREFACE_BYTES});
    return channel;
  }

  void send_start(const Fd& channel, const proto::Start& start) {
    const auto bytes = proto::encode_start(crypto, keys.to_agent, kName, start);
    ASSERT_EQ(::send(channel.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }

  proto::Start honest_start() const {
    return {core::MappingId{7}, *net::Endpoint::parse("198.51.100.7:4000"), *net::Endpoint::parse("203.0.113.5:8888"),
            core::FlowId{3}, 0};
  }

  /// What the agent answers on the channel.
  Result<proto::Answer> answer(const Fd& channel) {
    const auto bytes = receive(channel, NFR_ANSWER_BYTES);
    return proto::decode_answer(crypto, keys.to_relay, kName, bytes);
  }

  std::vector<std::byte> receive(const Fd& channel, std::size_t size) {
    test::set_nonblocking(channel.get());
    std::vector<std::byte> bytes(size);
    std::size_t have = 0;
    EXPECT_TRUE(until([&] {
      const ssize_t got = ::recv(channel.get(), bytes.data() + have, size - have, 0);
      if (got > 0) have += static_cast<std::size_t>(got);
      return have == size;
    }));
    return bytes;
  }

  static bool waits(const Fd& listener) {
    pollfd entry{.fd = listener.get(), .events = POLLIN, .revents = 0};
    return ::poll(&entry, 1, 0) == 1;
  }

  void expect_nothing_dialled() {
    settle();
    EXPECT_FALSE(waits(target_listener));
    EXPECT_FALSE(waits(other_listener));
  }

  static constexpr std::uint64_t kNumber = 5;
  static constexpr core::SessionId kSession{11};
  static constexpr proto::ChannelName kName{kSession, NFR_PREFACE_OPEN, kNumber};

  tls::OpenSslCrypto crypto;
  core::SessionKeys keys;
  net::Endpoint relay_address;
  net::Endpoint target_address;  ///< the one place that is allowed
  net::Endpoint other_address;
  Fd relay_listener;
  Fd target_listener;
  Fd other_listener;
  bool allowed = true;
  std::optional<proto::RefuseReason> failed;
  std::unique_ptr<Resolver> resolver;
  std::unique_ptr<Flows> flows;
};

TEST_F(LyingRelayTest, AnHonestOneIsServed) {
  EXPECT_FALSE(open(target_address));
  const Fd channel = accept_channel();
  send_start(channel, honest_start());
  const auto ready = answer(channel);
  ASSERT_TRUE(ready) << ready.error().message();
  EXPECT_FALSE(ready->refused);
  EXPECT_TRUE(waits(target_listener));
}

TEST_F(LyingRelayTest, AnotherTargetIsRefusedBeforeAnyChannel) {
  const auto refused = open(other_address);
  EXPECT_TRUE(until([&] { return refused || failed; }));
  EXPECT_EQ(refused ? *refused : *failed, proto::RefuseReason::not_allowed);
  expect_nothing_dialled();
  EXPECT_FALSE(waits(relay_listener));
}

TEST_F(LyingRelayTest, AnotherMappingAtStartIsRefused) {
  EXPECT_FALSE(open(target_address));
  const Fd channel = accept_channel();
  proto::Start start = honest_start();
  start.mapping = core::MappingId{8};
  send_start(channel, start);
  const auto refused = answer(channel);
  ASSERT_TRUE(refused) << refused.error().message();
  EXPECT_EQ(refused->refused, proto::RefuseReason::not_allowed);
  expect_nothing_dialled();
}

TEST_F(LyingRelayTest, AChannelThatWaitsIsGoodOnceItsVisitorComes) {
  EXPECT_FALSE(open(target_address, Millis{60'000}));
  const Fd channel = accept_channel();
  EXPECT_EQ(flows->kept_count(), 1u);
  EXPECT_EQ(flows->count(), 0u);
  send_start(channel, honest_start());
  EXPECT_FALSE(answer(channel)->refused);
  EXPECT_TRUE(waits(target_listener));
  EXPECT_EQ(flows->kept_count(), 0u);
  EXPECT_EQ(flows->count(), 1u);
}

TEST_F(LyingRelayTest, AChannelThatWaitsEndsWithItsSessionAndAFlowDoesNot) {
  EXPECT_FALSE(open(target_address, Millis{60'000}));
  const Fd serving = accept_channel();
  send_start(serving, honest_start());
  EXPECT_FALSE(answer(serving)->refused);
  EXPECT_FALSE(open(target_address, Millis{60'000}));
  const Fd waiting = accept_channel();
  EXPECT_EQ(flows->kept_count(), 1u);
  EXPECT_EQ(flows->count(), 1u);
  flows->drop_kept();
  EXPECT_TRUE(until([&] { return flows->kept_count() == 0; }));
  EXPECT_EQ(flows->count(), 1u);
  char byte = 0;
  EXPECT_EQ(::recv(waiting.get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_EQ(::recv(serving.get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST_F(LyingRelayTest, AChannelThatWaitsInVainEnds) {
  EXPECT_FALSE(open(target_address, Millis{50}));
  const Fd channel = accept_channel();
  EXPECT_TRUE(until([&] { return flows->kept_count() == 0; }));
  expect_nothing_dialled();
}

TEST_F(LyingRelayTest, ChannelsThatWaitLeaveRoomForVisitors) {
  for (int i = 0; i < 12; ++i) EXPECT_FALSE(open(target_address, Millis{60'000})) << i;
  EXPECT_EQ(open(target_address, Millis{60'000}), proto::RefuseReason::exhausted);
  EXPECT_FALSE(open(target_address));
}

TEST_F(LyingRelayTest, TheListOfTheMomentCounts) {
  EXPECT_FALSE(open(target_address));
  const Fd channel = accept_channel();
  allowed = false;  // taken back between OPEN and START
  send_start(channel, honest_start());
  const auto refused = answer(channel);
  ASSERT_TRUE(refused) << refused.error().message();
  EXPECT_EQ(refused->refused, proto::RefuseReason::not_allowed);
  expect_nothing_dialled();
}

TEST_F(LyingRelayTest, ProbesAreHeldAgainstTheListToo) {
  std::optional<proto::RefuseReason> refused;
  flows->probe(core::Target::of(other_address), core::ProxyHeader::kNone,
               [&](std::optional<proto::RefuseReason> reason, Micros) { refused = reason; });
  EXPECT_TRUE(until([&] { return refused.has_value(); }));
  EXPECT_EQ(*refused, proto::RefuseReason::not_allowed);
  expect_nothing_dialled();
}

}  // namespace
}  // namespace nfr::agent
