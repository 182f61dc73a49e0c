// SPDX-License-Identifier: GPL-2.0-only
// TlsHandshake and TlsEndpoint over loopback TCP: both ends of a channel on one loop, and a man in the middle who
// cuts, tampers and dribbles.
#include "transport/tls_endpoint.hpp"

#include "base/text.hpp"
#include "harness/loopback.hpp"
#include "transport/exact_io.hpp"
#include "transport/tls_handshake.hpp"

namespace nfr::transport {
namespace {

using test::Recorder;
using namespace std::chrono_literals;

struct End {
  std::unique_ptr<TlsHandshake> handshake;
  std::unique_ptr<TlsEndpoint> endpoint;
  Recorder events;
  std::string error;
  bool done = false;
};

class TlsEndpointTest : public test::LoopbackTest {
 protected:
  void start(End& end, Fd socket, bool server, Millis deadline = 5s) {
    static const auto identity = *tls::Identity::generate();
    const core::Key psk{std::byte{7}};
    const auto context = server ? tls::Context::relay(identity, [psk](std::string_view) { return std::optional(psk); })
                                : tls::Context::agent_channel("1-2", psk);
    ASSERT_TRUE(context.ok());
    auto engine = tls::Engine::create(*context);
    ASSERT_TRUE(engine.ok());
    end.handshake =
        std::make_unique<TlsHandshake>(*loop, RawEndpoint::adopt(*loop, std::move(socket)), std::move(*engine),
                                       [&end](Result<std::unique_ptr<TlsEndpoint>> result) {
                                         EXPECT_FALSE(end.done);
                                         end.done = true;
                                         if (!result) end.error = result.error().message();
                                         if (result) end.endpoint = std::move(*result);
                                         end.handshake.reset();
                                       });
    end.handshake->start(deadline);
  }

  /// Both ends connected directly.
  void connect() {
    test::TcpPair pair = test::tcp_pair();
    test::set_nonblocking(pair.theirs.get());
    relay_fd = pair.ours.get();
    start(relay, std::move(pair.ours), true);
    start(agent, std::move(pair.theirs), false);
    ASSERT_TRUE(until([&] { return relay.done && agent.done; }));
    ASSERT_TRUE(relay.endpoint && agent.endpoint) << relay.error << agent.error;
    relay.endpoint->set_events(&relay.events);
    agent.endpoint->set_events(&agent.events);
  }

  /// With a man in the middle, who copies until told otherwise.
  void connect_through_middle() {
    test::TcpPair left = test::tcp_pair();
    test::TcpPair right = test::tcp_pair();
    start(relay, std::move(left.ours), true);
    start(agent, std::move(right.ours), false);
    middle_relay = std::move(left.theirs);
    middle_agent = std::move(right.theirs);
    ASSERT_TRUE(until([&] { return copy_middle(), relay.done && agent.done; }));
    ASSERT_TRUE(relay.endpoint && agent.endpoint) << relay.error << agent.error;
    relay.endpoint->set_events(&relay.events);
    agent.endpoint->set_events(&agent.events);
  }

  void copy_middle() {
    loop->run_once(1ms);
    copy_some(middle_relay, middle_agent);
    copy_some(middle_agent, middle_relay);
  }

  /// Returns what it took from `from`; with `flip` the last byte of it is damaged.
  std::string copy_some(Fd& from, Fd& to, bool flip = false) {
    char buffer[65536];
    const ssize_t got = ::recv(from.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got <= 0) return {};
    if (flip) buffer[got - 1] ^= 1;
    EXPECT_EQ(::send(to.get(), buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL), got);
    return std::string(buffer, static_cast<std::size_t>(got));
  }

  void close(End& end, CloseMode mode = CloseMode::kReset) {
    if (!end.endpoint) return;
    if (!end.events.closed) end.endpoint->close(mode);
    EXPECT_TRUE(until([&] { return end.events.closed; }));
    end.endpoint.reset();
  }

  void TearDown() override {
    close(relay);
    close(agent);
  }

  End relay;
  End agent;
  int relay_fd = -1;
  std::size_t read_so_far = 0;
  Fd middle_relay;
  Fd middle_agent;
};

TEST_F(TlsEndpointTest, BytesBothWaysHalfCloseAndOrderlyEnd) {
  connect();
  EXPECT_EQ(relay.endpoint->engine().psk_identity(), "1-2");
  const std::string text = test::sequence(3, 0, 1'000'000);
  agent.endpoint->write(as_bytes(text));
  EXPECT_EQ(agent.events.events, 0);
  bool finished = false;
  relay.endpoint->read();
  EXPECT_TRUE(until([&] {
    if (agent.events.written == 1 && !std::exchange(finished, true)) agent.endpoint->finish();
    if (relay.events.eof) return true;
    if (relay.events.data.size() != read_so_far) {
      read_so_far = relay.events.data.size();
      relay.endpoint->read();
    }
    return false;
  }));
  EXPECT_TRUE(relay.events.data == text);
  relay.endpoint->write(as_bytes("still open"));
  EXPECT_TRUE(until([&] { return relay.events.written == 1; }));
  agent.endpoint->read();
  EXPECT_TRUE(until([&] { return agent.events.data == "still open"; }));
  relay.endpoint->finish();
  agent.endpoint->read();
  EXPECT_TRUE(until([&] { return agent.events.eof && relay.events.finished; }));
  close(relay, CloseMode::kOrderly);
  close(agent, CloseMode::kOrderly);
  EXPECT_EQ(relay.events.error, 0);
  EXPECT_EQ(agent.events.error, 0);
}

TEST_F(TlsEndpointTest, FinWithoutCloseNotifyIsAnError) {
  connect_through_middle();
  agent.endpoint->write(as_bytes("half a trans"));
  relay.endpoint->read();
  EXPECT_TRUE(until([&] { return copy_middle(), !relay.events.data.empty(); }));
  relay.endpoint->read();
  ::shutdown(middle_relay.get(), SHUT_WR);
  EXPECT_TRUE(until([&] { return relay.events.error != 0; }));
  EXPECT_EQ(relay.events.error, ECONNRESET);
  EXPECT_FALSE(relay.events.eof);
}

TEST_F(TlsEndpointTest, ATamperedRecordIsAnError) {
  connect_through_middle();
  agent.endpoint->write(as_bytes("attack at dawn"));
  relay.endpoint->read();
  EXPECT_TRUE(until([&] {
    copy_some(middle_agent, middle_relay, true);
    return relay.events.error != 0;
  }));
  EXPECT_EQ(relay.events.data, "");
  EXPECT_FALSE(relay.events.eof);
}

TEST_F(TlsEndpointTest, BytesBehindCloseNotifyAreAnError) {
  connect_through_middle();
  agent.endpoint->finish();
  relay.endpoint->read();
  EXPECT_TRUE(until([&] { return copy_middle(), agent.events.finished; }));
  for (int i = 0; i < 20; ++i) copy_middle();
  EXPECT_FALSE(relay.events.eof);  // no FIN yet
  // Nagle may or may not have held the alert back: the byte arrives behind it, or in the same read.
  ASSERT_EQ(::send(middle_relay.get(), "x", 1, MSG_NOSIGNAL), 1);
  EXPECT_TRUE(until([&] { return relay.events.error != 0; }));
  EXPECT_FALSE(relay.events.eof);
}

TEST_F(TlsEndpointTest, RstIsAnError) {
  connect_through_middle();
  relay.endpoint->read();
  test::close_with_reset(middle_relay);
  EXPECT_TRUE(until([&] { return relay.events.error != 0; }));
  EXPECT_EQ(relay.events.error, ECONNRESET);
}

TEST_F(TlsEndpointTest, ExactIoOverTlsLeavesTheRest) {
  connect();
  agent.endpoint->write(as_bytes("HEADrest of the stream"));
  ExactIo exact(*loop, *relay.endpoint);
  auto end = ExactIo::End::kError;
  bool done = false;
  exact.read(4, 5s, [&](ExactIo::End got) { end = got, done = true; });
  EXPECT_TRUE(until([&] { return done; }));
  EXPECT_EQ(end, ExactIo::End::kDone);
  EXPECT_EQ(as_text(exact.bytes()), "HEAD");
  relay.endpoint->set_events(&relay.events);
  relay.endpoint->read();
  EXPECT_EQ(relay.events.events, 0);  // decrypted already, but not from inside
  EXPECT_TRUE(until([&] { return !relay.events.data.empty(); }));
  EXPECT_EQ(relay.events.data, "rest of the stream");
}

TEST_F(TlsEndpointTest, ACarrierKeepsEarlyBytes) {
  connect();
  agent.endpoint->write(as_bytes("HEADbody"));
  ExactIo exact(*loop, *relay.endpoint);
  bool done = false;
  exact.read(4, 5s, [&](ExactIo::End) { done = true; });
  EXPECT_TRUE(until([&] { return done; }));
  Carrier carrier = relay.endpoint->detach();
  relay.endpoint.reset();
  auto moved = make_endpoint(*loop, std::move(carrier));
  moved->set_events(&relay.events);
  moved->read();
  EXPECT_TRUE(until([&] { return !relay.events.data.empty(); }));
  EXPECT_EQ(relay.events.data, "body");
  moved->close(CloseMode::kReset);
  EXPECT_TRUE(until([&] { return relay.events.closed; }));
}

TEST_F(TlsEndpointTest, ANeverReadingPeerGetsCopiesNotLeases) {
  connect_through_middle();
  const std::string text(16 * 1024 * 1024, 'z');
  agent.endpoint->write(as_bytes(text));
  settle(300ms);
  EXPECT_EQ(agent.events.written, 0);
  close(agent);
}

TEST_F(TlsEndpointTest, HandshakeDeadlineSilenceAndCancel) {
  test::TcpPair silent = test::tcp_pair();
  start(relay, std::move(silent.ours), true, 50ms);
  EXPECT_TRUE(until([&] { return relay.done; }));
  EXPECT_NE(relay.error.find("within the limit"), std::string::npos);
  char byte = 0;
  EXPECT_EQ(::recv(silent.theirs.get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, ECONNRESET);

  test::TcpPair cancelled = test::tcp_pair();
  start(agent, std::move(cancelled.ours), false);
  loop->run_once(1ms);
  agent.handshake->cancel();
  EXPECT_FALSE(agent.done);
  EXPECT_TRUE(until([&] { return agent.done; }));
}

TEST_F(TlsEndpointTest, HandshakeWithGarbageFails) {
  test::TcpPair pair = test::tcp_pair();
  start(relay, std::move(pair.ours), true);
  const std::string garbage = "\x16\x03\x01 this is no ClientHello at all, not even nearly";
  ASSERT_GT(::send(pair.theirs.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL), 0);
  ::shutdown(pair.theirs.get(), SHUT_WR);
  EXPECT_TRUE(until([&] { return relay.done; }));
  EXPECT_FALSE(relay.error.empty());
}

}  // namespace
}  // namespace nfr::transport
