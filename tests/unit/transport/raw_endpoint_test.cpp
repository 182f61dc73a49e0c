// SPDX-License-Identifier: GPL-2.0-only
// RawEndpoint against real TCP peers: each line of the contract in transport/endpoint.hpp, in particular every way a
// connection can break.
#include "transport/raw_endpoint.hpp"

#include "base/text.hpp"
#include "harness/loopback.hpp"

namespace nfr::transport {
namespace {

using test::close_with_reset;
using test::Recorder;
using test::TcpPair;
using namespace std::chrono_literals;

class RawEndpointTest : public test::LoopbackTest {
 protected:
  void adopt(TcpPair pair) {
    peer = std::move(pair.theirs);
    fd = pair.ours.get();
    endpoint = RawEndpoint::adopt(*loop, std::move(pair.ours));
    endpoint->set_events(&events);
  }

  void TearDown() override {
    if (!endpoint) return;
    if (!closing) endpoint->close(CloseMode::kReset);
    EXPECT_TRUE(until([&] { return events.closed; }));
    endpoint.reset();
  }

  void close(CloseMode mode) {
    closing = true;
    const int before = events.events;
    endpoint->close(mode);
    EXPECT_EQ(events.events, before);  // no event from inside
    EXPECT_TRUE(until([&] { return events.closed; }));
  }

  void peer_sends(std::string_view text) {
    ASSERT_EQ(::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }

  /// Reads until EOF or error.
  void drain() {
    EXPECT_TRUE(until([&] {
      if (events.eof || events.error != 0) return true;
      if (events.data.size() != seen || !asked) {
        seen = events.data.size();
        asked = true;
        endpoint->read();
      }
      return false;
    }));
  }

  /// What the peer still gets: bytes, then 0 or an errno.
  std::pair<std::string, int> peer_reads_to_end() {
    std::string text;
    char buffer[4096];
    const auto limit = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < limit) {
      const ssize_t got = ::recv(peer.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (got == 0) return {text, 0};
      if (got < 0 && errno != EAGAIN) return {text, errno};
      if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
      if (got < 0) loop->run_once(1ms);
    }
    return {text, -1};
  }

  /// Fills the peer's receive window and our send buffer; the write stays outstanding.
  void stick_write() {
    big = std::string(8 * 1024 * 1024, 'x');
    endpoint->write(as_bytes(big));
    EXPECT_TRUE(until([&] { return events.copied > 0; }));
    EXPECT_EQ(events.written, 0);
  }

  Recorder events;
  std::unique_ptr<RawEndpoint> endpoint;
  Fd peer;
  int fd = -1;
  bool closing = false;
  bool asked = false;
  std::size_t seen = 0;
  std::string big;
};

TEST_F(RawEndpointTest, PeerEndsFirstThenWe) {
  adopt(test::tcp_pair());
  endpoint->watch_reset();
  peer_sends("hello");
  ::shutdown(peer.get(), SHUT_WR);
  drain();
  EXPECT_EQ(events.data, "hello");
  EXPECT_TRUE(events.eof);
  endpoint->write(as_bytes("world"));
  EXPECT_TRUE(until([&] { return events.written == 1; }));
  endpoint->finish();
  EXPECT_FALSE(events.finished);
  EXPECT_TRUE(until([&] { return events.finished; }));
  settle();  // both directions are shut now: POLLHUP, which is not a reset
  EXPECT_EQ(events.error, 0);
  close(CloseMode::kOrderly);
  EXPECT_EQ(peer_reads_to_end(), std::pair(std::string("world"), 0));
}

TEST_F(RawEndpointTest, WeEndFirstThenThePeer) {
  adopt(test::tcp_pair());
  endpoint->watch_reset();
  endpoint->write(as_bytes("ask"));
  EXPECT_TRUE(until([&] { return events.written == 1; }));
  endpoint->finish();
  EXPECT_TRUE(until([&] { return events.finished; }));
  peer_sends("answer");
  ::shutdown(peer.get(), SHUT_WR);
  settle();
  EXPECT_EQ(events.error, 0);
  drain();
  EXPECT_EQ(events.data, "answer");
  EXPECT_TRUE(events.eof);
  close(CloseMode::kOrderly);
  EXPECT_EQ(peer_reads_to_end(), std::pair(std::string("ask"), 0));
}

TEST_F(RawEndpointTest, CloseByResetIsSeenAsReset) {
  adopt(test::tcp_pair());
  endpoint->read();
  loop->run_once(0ms);
  close(CloseMode::kReset);
  EXPECT_EQ(peer_reads_to_end().second, ECONNRESET);
}

TEST_F(RawEndpointTest, ResetAfterHalfCloseOfOursIsSeenAsError) {
  adopt(test::tcp_pair());
  ::shutdown(peer.get(), SHUT_WR);
  drain();
  EXPECT_TRUE(events.eof);
  close(CloseMode::kReset);
  EXPECT_EQ(peer_reads_to_end().second, ECONNRESET);
}

TEST_F(RawEndpointTest, BytesBeforeAnRstAreDelivered) {
  adopt(test::tcp_pair());
  endpoint->watch_reset();
  peer_sends(std::string(60'000, 'd'));
  settle(20ms);
  close_with_reset(peer);
  drain();
  EXPECT_EQ(events.data.size(), 60'000U);
  EXPECT_EQ(events.error, ECONNRESET);
  EXPECT_FALSE(events.eof);
}

TEST_F(RawEndpointTest, RstDuringARead) {
  adopt(test::tcp_pair());
  endpoint->read();
  settle(10ms);
  close_with_reset(peer);
  EXPECT_TRUE(until([&] { return events.error != 0; }));
  EXPECT_EQ(events.error, ECONNRESET);
  EXPECT_FALSE(events.eof);
}

TEST_F(RawEndpointTest, RstAfterThePeersFinIsNoticedWhileIdle) {
  adopt(test::tcp_pair());
  endpoint->watch_reset();
  ::shutdown(peer.get(), SHUT_WR);
  drain();
  settle();
  EXPECT_EQ(events.error, 0);
  close_with_reset(peer);
  EXPECT_TRUE(until([&] { return events.error != 0; }));
  EXPECT_EQ(events.error, ECONNRESET);
}

TEST_F(RawEndpointTest, RstWhileNobodyReadsIsNoticed) {
  adopt(test::tcp_pair());
  endpoint->watch_reset();
  peer_sends("held back");
  settle();
  EXPECT_EQ(events.events, 0);
  close_with_reset(peer);
  EXPECT_TRUE(until([&] { return events.error != 0; }));
  EXPECT_EQ(events.error, ECONNRESET);
}

TEST_F(RawEndpointTest, RstWhileAWriteIsStuck) {
  adopt(test::tcp_pair(8192));
  endpoint->watch_reset();
  stick_write();
  close_with_reset(peer);
  EXPECT_TRUE(until([&] { return events.error != 0; }));
  EXPECT_EQ(events.error, ECONNRESET);
  EXPECT_EQ(events.written, 0);
}

TEST_F(RawEndpointTest, AnErrorConsumedByASendNeverBecomesEof) {
  adopt(test::tcp_pair());
  close_with_reset(peer);
  settle(10ms);
  endpoint->write(as_bytes("into the void"));
  settle(5ms);
  drain();
  EXPECT_FALSE(events.eof);
  EXPECT_EQ(events.error, ECONNRESET);
  EXPECT_EQ(events.written, 0);
}

TEST_F(RawEndpointTest, AnErrorConsumedByOthersNeverBecomesEof) {
  adopt(test::tcp_pair());
  close_with_reset(peer);
  settle(10ms);
  int error = 0;
  socklen_t length = sizeof error;
  ASSERT_EQ(::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
  ASSERT_EQ(error, ECONNRESET);
  drain();
  EXPECT_FALSE(events.eof);
  EXPECT_EQ(events.error, ECONNRESET);
}

TEST_F(RawEndpointTest, AnswerBeforeTheRstSurvivesAFailedWrite) {
  adopt(test::tcp_pair());
  endpoint->watch_reset();
  peer_sends("413 too large");
  settle(50ms);
  close_with_reset(peer);
  settle(5ms);
  endpoint->write(as_bytes("more"));
  drain();
  EXPECT_EQ(events.data, "413 too large");
  EXPECT_EQ(events.error, ECONNRESET);
}

TEST_F(RawEndpointTest, FinishOnABrokenConnectionIsAnError) {
  adopt(test::tcp_pair());
  close_with_reset(peer);
  settle(10ms);
  endpoint->finish();
  EXPECT_EQ(events.events, 0);
  EXPECT_TRUE(until([&] { return events.error != 0; }));
  EXPECT_FALSE(events.finished);
}

TEST_F(RawEndpointTest, AStuckWriteIsCopiedAndStaysExact) {
  adopt(test::tcp_pair());
  const std::string text = test::sequence(7, 0, 12 * 1024 * 1024);
  std::string copy = text;
  endpoint->write(as_bytes(copy));
  EXPECT_TRUE(until([&] { return events.copied == 1; }));
  std::ranges::fill(copy, '!');  // ours again
  std::string got;
  char buffer[65536];
  EXPECT_TRUE(until([&] {
    ssize_t count = 0;
    while ((count = ::recv(peer.get(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0) {
      got.append(buffer, static_cast<std::size_t>(count));
    }
    return got.size() >= text.size();
  }));
  EXPECT_TRUE(until([&] { return events.written == 1; }));
  EXPECT_TRUE(got == text);
  EXPECT_EQ(events.copied, 1);
}

TEST_F(RawEndpointTest, ReadAtMostLeavesTheRest) {
  adopt(test::tcp_pair());
  peer_sends("abcdefgh");
  // A read may bring less than there is.
  for (std::size_t had = 0; had < 3; had = events.data.size()) {
    endpoint->read_at_most(3 - had);
    ASSERT_TRUE(until([&] { return events.data.size() > had; }));
  }
  EXPECT_EQ(events.data, "abc");
  for (std::size_t had = 3; had < 8; had = events.data.size()) {
    endpoint->read();
    ASSERT_TRUE(until([&] { return events.data.size() > had; }));
  }
  EXPECT_EQ(events.data, "abcdefgh");
}

TEST_F(RawEndpointTest, CloseInEveryStateDeliversNothingButClosed) {
  for (int state = 0; state < 5; ++state) {
    events = {};
    adopt(test::tcp_pair(8192));
    if (state >= 1) endpoint->read();
    if (state >= 2) endpoint->watch_reset();
    if (state == 3) endpoint->write(as_bytes("few"));
    if (state == 4) stick_write();
    const int before = events.events;
    endpoint->close(CloseMode::kReset);
    EXPECT_TRUE(until([&] { return events.closed; }));
    EXPECT_EQ(events.events, before + 1) << state;
    EXPECT_EQ(peer_reads_to_end().second, ECONNRESET) << state;
    endpoint.reset();
  }
}

TEST_F(RawEndpointTest, DetachGivesTheSocketAway) {
  adopt(test::tcp_pair());
  Fd taken = endpoint->detach();
  EXPECT_EQ(taken.get(), fd);
  endpoint.reset();
  taken.reset();
  EXPECT_EQ(peer_reads_to_end().second, ECONNRESET);
}

}  // namespace
}  // namespace nfr::transport
