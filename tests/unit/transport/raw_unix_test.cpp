// SPDX-License-Identifier: GPL-2.0-only
// RawEndpoint over a unix stream socket, where a target is one: bytes, both half-closes and every end. There is no RST:
// what a peer sees of a close(kReset) is stated here.
#include "harness/loopback.hpp"
#include "transport/raw_endpoint.hpp"

namespace nfr::transport {
namespace {

using test::Recorder;

class RawUnixTest : public test::LoopbackTest {
 protected:
  void SetUp() override {
    LoopbackTest::SetUp();
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    peer.reset(ends[1]);
    ASSERT_EQ(net::set_options(ends[0]), 0);
    endpoint = RawEndpoint::adopt(*loop, Fd(ends[0]));
    endpoint->set_events(&events);
  }
  void TearDown() override {
    if (!closing) close(CloseMode::kReset);
    endpoint.reset();
  }
  void close(CloseMode mode) {
    closing = true;
    endpoint->close(mode);
    EXPECT_TRUE(until([&] { return events.closed; }));
  }
  /// The next bytes of the peer, "" at the end, or the errno.
  std::string peer_reads() {
    char buffer[4096];
    ssize_t got = -1;
    until([&] {
      got = ::recv(peer.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      return got >= 0 || errno != EAGAIN;
    });
    return got >= 0 ? std::string(buffer, static_cast<std::size_t>(got)) : "errno " + std::to_string(errno);
  }
  void peer_sends(std::string_view text) {
    ASSERT_EQ(::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  Fd peer;
  Recorder events;
  std::unique_ptr<RawEndpoint> endpoint;
  bool closing = false;
};

TEST_F(RawUnixTest, BytesGoBothWays) {
  peer_sends("question");
  endpoint->read();
  EXPECT_TRUE(until([&] { return events.data == "question"; }));
  const std::string answer = "answer";
  endpoint->write(std::as_bytes(std::span(answer)));
  EXPECT_TRUE(until([&] { return events.written == 1; }));
  EXPECT_EQ(peer_reads(), "answer");
}

TEST_F(RawUnixTest, HalfClosesInOrder) {
  ::shutdown(peer.get(), SHUT_WR);
  endpoint->read();
  EXPECT_TRUE(until([&] { return events.eof; }));
  EXPECT_EQ(events.error, 0);
  const std::string late = "still here";
  endpoint->write(std::as_bytes(std::span(late)));
  EXPECT_TRUE(until([&] { return events.written == 1; }));
  endpoint->finish();
  EXPECT_TRUE(until([&] { return events.finished; }));
  close(CloseMode::kOrderly);
  EXPECT_EQ(peer_reads(), "still here");
  EXPECT_EQ(peer_reads(), "");
}

// The peer's death in the middle: unread bytes of ours make it an error, else it is an ordinary end.
TEST_F(RawUnixTest, APeerThatLeavesUnreadBytesIsABrokenOne) {
  const std::string unread = "nobody reads this";
  endpoint->write(std::as_bytes(std::span(unread)));
  EXPECT_TRUE(until([&] { return events.written == 1; }));
  peer.reset();
  endpoint->read();
  EXPECT_TRUE(until([&] { return events.error != 0 || events.eof; }));
  EXPECT_EQ(events.error, ECONNRESET);
}

TEST_F(RawUnixTest, WritingToAPeerThatIsGoneIsAnError) {
  peer.reset();
  const std::string bytes = "x";
  endpoint->write(std::as_bytes(std::span(bytes)));
  EXPECT_TRUE(until([&] { return events.error != 0; }));
}

// No RST on a unix socket: documented with Mapping's warning; the peer sees an end, or an error if we left its bytes.
TEST_F(RawUnixTest, AResetIsAnEndOrAnError) {
  peer_sends("unread");
  settle();
  close(CloseMode::kReset);
  EXPECT_EQ(peer_reads(), "errno " + std::to_string(ECONNRESET));
}

TEST_F(RawUnixTest, BackPressureHoldsAndNothingIsLost) {
  const std::string much(4 << 20, 'm');
  endpoint->write(std::as_bytes(std::span(much)));
  settle();
  EXPECT_EQ(events.written, 0);
  std::size_t got = 0;
  EXPECT_TRUE(until([&] {
    char buffer[65536];
    const ssize_t count = ::recv(peer.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count > 0) got += static_cast<std::size_t>(count);
    return got == much.size() && events.written == 1;
  }));
}

}  // namespace
}  // namespace nfr::transport
