// SPDX-License-Identifier: GPL-2.0-only
// RelayOpening against a peer that plays the agent over loopback: what goes along with START, what a visitor loses when
// the channel breaks before READY, and that no byte is delivered twice.
#include "datapath/relay_opening.hpp"

#include "base/text.hpp"
#include "harness/loopback.hpp"
#include "tls/tls.hpp"

namespace nfr::datapath {
namespace {

using core::FlowEnd;
using proto::RefuseReason;
using namespace std::chrono_literals;

class RelayOpeningTest : public test::LoopbackTest, public RelayFlowEvents {
 protected:
  void open(bool stood_ready, bool early, std::string_view said) {
    test::TcpPair left = test::tcp_pair();
    test::TcpPair right = test::tcp_pair();
    visitor = std::move(left.theirs);
    agent = std::move(right.theirs);
    say(visitor, said);
    core::FlowSpec spec;
    spec.id = core::FlowId{7};
    spec.mapping = core::MappingId{3};
    spec.visitor = spec.public_endpoint = *net::Endpoint::parse("192.0.2.1:5");
    spec.session = core::SessionId{9};
    spec.channel_kind = NFR_PREFACE_OPEN;
    spec.channel_number = 11;
    spec.stood_ready = stood_ready;
    spec.early = early;
    spec.counters = counters;
    keys = spec.keys;
    opening = std::make_unique<RelayOpening>(*loop, crypto, transport::RawEndpoint::adopt(*loop, std::move(left.ours)),
                                             transport::Carrier{std::move(right.ours), nullptr}, std::move(spec), 5s,
                                             static_cast<RelayFlowEvents&>(*this));
    opening->start();
  }
  void TearDown() override {
    if (opening && !over && !returned) opening->cut(FlowEnd::kShutdown);
    if (returned) returned->close(transport::CloseMode::kReset);
    EXPECT_TRUE(until([&] { return (!opening || over || channel_over) && (!returned || events.closed); }));
    opening.reset();
    returned.reset();
  }

  static void say(const Fd& socket, std::string_view text) {
    ASSERT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  /// What has come, once it is so much, and 50 ms later.
  std::string heard(const Fd& socket, std::size_t size) {
    std::string text;
    const auto take = [&] {
      char bytes[8192];
      const ssize_t got = ::recv(socket.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (got > 0) text.append(bytes, static_cast<std::size_t>(got));
      return text.size() >= size;
    };
    EXPECT_TRUE(until(take));
    settle(50ms);
    take();
    return text;
  }
  void answer(std::optional<RefuseReason> why) {
    const proto::ChannelName name{core::SessionId{9}, NFR_PREFACE_OPEN, 11};
    say(agent, as_text(proto::encode_answer(crypto, keys.to_relay, name, {core::FlowId{7}, why, 1})));
  }
  int visitor_error() {
    char byte = 0;
    ssize_t got = 0;
    EXPECT_TRUE(until([&] { return (got = ::recv(visitor.get(), &byte, 1, MSG_DONTWAIT)) >= 0 || errno != EAGAIN; }));
    return got < 0 ? errno : 0;
  }

  void on_flow_ready(core::FlowId, Micros) override { ready = true; }
  void on_flow_refused(core::FlowId, RefuseReason reason) override { over = true, refused = reason; }
  void on_flow_ended(core::FlowId, FlowEnd) override { over = true; }
  void on_channel_lost(core::FlowId, std::unique_ptr<transport::RawEndpoint> given) override {
    returned = std::move(given);
    returned->set_events(&events);
  }
  void on_channel_over(RelayOpening&) override { channel_over = true; }

  const tls::OpenSslCrypto crypto;
  core::SessionKeys keys;
  std::shared_ptr<core::FlowCounters> counters = std::make_shared<core::FlowCounters>();
  Fd visitor;
  Fd agent;
  std::unique_ptr<RelayOpening> opening;
  std::unique_ptr<transport::RawEndpoint> returned;
  test::Recorder events;
  std::optional<RefuseReason> refused;
  bool ready = false;
  bool over = false;
  bool channel_over = false;
};

TEST_F(RelayOpeningTest, FirstBytesGoAlongWithStartAndAreDeliveredOnce) {
  open(true, true, "hello");
  EXPECT_EQ(heard(agent, NFR_START_BYTES + 5).substr(NFR_START_BYTES), "hello");
  EXPECT_FALSE(ready);
  say(visitor, " world");
  answer(std::nullopt);
  EXPECT_EQ(heard(agent, 6), " world");
  EXPECT_TRUE(ready);
  EXPECT_EQ(counters->in_bytes.load(), 11U);
}

TEST_F(RelayOpeningTest, NoMoreThanTheWireAllows) {
  const std::string many(10'000, 'x');
  open(false, true, many);
  EXPECT_EQ(heard(agent, NFR_START_BYTES + NFR_EARLY_BYTES_MAX).size(), NFR_START_BYTES + NFR_EARLY_BYTES_MAX);
  answer(std::nullopt);
  EXPECT_EQ(heard(agent, many.size() - NFR_EARLY_BYTES_MAX).size(), many.size() - NFR_EARLY_BYTES_MAX);
}

TEST_F(RelayOpeningTest, OnAnOldChannelTheVisitorWaitsForReady) {
  open(true, false, "hello");
  EXPECT_EQ(heard(agent, NFR_START_BYTES).size(), std::size_t{NFR_START_BYTES});
  answer(std::nullopt);
  EXPECT_EQ(heard(agent, 5), "hello");
}

TEST_F(RelayOpeningTest, AnOldChannelThatBreaksCostsTheVisitorNothing) {
  open(true, false, "hello");
  heard(agent, NFR_START_BYTES);
  test::close_with_reset(agent);
  ASSERT_TRUE(until([&] { return channel_over; }));
  ASSERT_TRUE(returned);
  EXPECT_EQ(returned->peek(100), "hello");
  EXPECT_FALSE(refused);
}

// The target may have seen the bytes: a second channel could deliver them again.
TEST_F(RelayOpeningTest, AChannelThatBreaksWithFirstBytesEndsTheVisitorByReset) {
  open(true, true, "hello");
  heard(agent, NFR_START_BYTES + 5);
  test::close_with_reset(agent);
  ASSERT_TRUE(until([&] { return over; }));
  EXPECT_EQ(refused, RefuseReason::bad_answer);
  EXPECT_FALSE(returned);
  EXPECT_EQ(visitor_error(), ECONNRESET);
}

TEST_F(RelayOpeningTest, ARefusalKeepsItsReason) {
  open(false, true, "hello");
  heard(agent, NFR_START_BYTES + 5);
  answer(RefuseReason::connection_refused);
  ASSERT_TRUE(until([&] { return over; }));
  EXPECT_EQ(refused, RefuseReason::connection_refused);
  EXPECT_EQ(visitor_error(), ECONNRESET);
}

TEST_F(RelayOpeningTest, BytesAndAnEndBeforeReady) {
  open(false, true, "all of it");
  ::shutdown(visitor.get(), SHUT_WR);
  heard(agent, NFR_START_BYTES + 9);
  answer(std::nullopt);
  char byte = 0;
  ASSERT_TRUE(until([&] { return ::recv(agent.get(), &byte, 1, MSG_DONTWAIT) == 0; }));
  EXPECT_EQ(counters->in_bytes.load(), 9U);
}

}  // namespace
}  // namespace nfr::datapath
