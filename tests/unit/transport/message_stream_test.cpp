// SPDX-License-Identifier: GPL-2.0-only
// MessageStream and ExactIo over raw TCP: framing at every split, wrong sizes, a peer that does not read, and both
// ways to end.
#include "transport/message_stream.hpp"

#include "base/text.hpp"
#include "harness/loopback.hpp"
#include "transport/exact_io.hpp"
#include "transport/raw_endpoint.hpp"

namespace nfr::transport {
namespace {

using namespace std::chrono_literals;

std::string frame(std::string_view payload) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((payload.size() >> shift) & 0xff);
  return out + std::string(payload);
}

class MessageStreamTest : public test::LoopbackTest, public MessageEvents {
 protected:
  void open(std::size_t message_max = 1000) {
    test::TcpPair pair = test::tcp_pair();
    peer = std::move(pair.theirs);
    stream =
        std::make_unique<MessageStream>(*loop, RawEndpoint::adopt(*loop, std::move(pair.ours)), *this, message_max);
    stream->start();
  }

  void on_message(std::string_view payload) override {
    messages.emplace_back(payload);
    if (payload == "close") stream->close();
    if (payload == "grow") stream->set_message_max(5000);
  }
  void on_closed(std::string_view why) override {
    reason = why;
    closed = true;
    stream.reset();
  }

  void peer_sends(std::string_view bytes) {
    ASSERT_EQ(::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

  std::pair<std::string, int> peer_reads_to_end() {
    std::string text;
    char buffer[65536];
    int result = -1;
    EXPECT_TRUE(until([&] {
      const ssize_t got = ::recv(peer.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
      if (got < 0 && errno == EAGAIN) return false;
      if (got <= 0) result = got == 0 ? 0 : errno;
      return got <= 0;
    }));
    return {text, result};
  }

  void TearDown() override {
    if (stream) stream->close();
    peer.reset();
    EXPECT_TRUE(until([&] { return closed; }));
  }

  std::unique_ptr<MessageStream> stream;
  Fd peer;
  std::vector<std::string> messages;
  std::string reason;
  bool closed = false;
};

TEST_F(MessageStreamTest, FramesArriveWholeHoweverTheyAreSplit) {
  open();
  const std::string bytes = frame("first") + frame("x") + frame(std::string(1000, 'y'));
  for (const char byte : bytes.substr(0, 14)) {
    peer_sends(std::string_view(&byte, 1));
    loop->run_once(1ms);
  }
  peer_sends(std::string_view(bytes).substr(14));
  EXPECT_TRUE(until([&] { return messages.size() == 3; }));
  EXPECT_EQ(messages[0], "first");
  EXPECT_EQ(messages[1], "x");
  EXPECT_EQ(messages[2], std::string(1000, 'y'));
}

TEST_F(MessageStreamTest, ZeroAndOversizedFramesAreNamed) {
  open();
  peer_sends(std::string(4, '\0'));
  EXPECT_TRUE(until([&] { return closed; }));
  EXPECT_NE(reason.find("message of 0 bytes"), std::string::npos);
  EXPECT_EQ(peer_reads_to_end().second, ECONNRESET);
  closed = false;
  open();
  peer_sends(frame(std::string(1001, 'z')).substr(0, 4));
  EXPECT_TRUE(until([&] { return closed; }));
  EXPECT_NE(reason.find("message of 1001 bytes, 1 to 1000"), std::string::npos);
}

TEST_F(MessageStreamTest, TheLimitCanGrowFromInsideAMessage) {
  open();
  peer_sends(frame("grow") + frame(std::string(5000, 'b')));
  EXPECT_TRUE(until([&] { return messages.size() == 2; }));
  EXPECT_EQ(messages[1].size(), 5000U);
}

TEST_F(MessageStreamTest, CloseFlushesThenEndsInOrder) {
  open();
  const std::string big(300'000, 'q');
  stream->send(big);
  stream->send("bye");
  stream->close();
  stream->send("never");
  EXPECT_FALSE(closed);
  const auto [text, end] = peer_reads_to_end();
  EXPECT_TRUE(text == frame(big) + frame("bye"));
  EXPECT_EQ(end, 0);
  ::shutdown(peer.get(), SHUT_WR);
  EXPECT_TRUE(until([&] { return closed; }));
  EXPECT_EQ(reason, "closed by this side");
}

TEST_F(MessageStreamTest, APeerThatDoesNotEndIsReset) {
  open();
  peer_sends(frame("close") + frame("ignored"));
  EXPECT_TRUE(until([&] { return closed; }));
  EXPECT_EQ(messages.size(), 1U);
  EXPECT_EQ(peer_reads_to_end().second, 0);  // FIN first, the RST comes 2 s later
}

TEST_F(MessageStreamTest, PeerEndsInOrderOrInTheMiddle) {
  open();
  peer_sends(frame("last"));
  ::shutdown(peer.get(), SHUT_WR);
  EXPECT_TRUE(until([&] { return closed; }));
  EXPECT_EQ(reason, "closed by the peer");
  EXPECT_EQ(messages.size(), 1U);
  EXPECT_EQ(peer_reads_to_end().second, 0);
  closed = false;
  open();
  peer_sends(frame("truncated").substr(0, 8));
  ::shutdown(peer.get(), SHUT_WR);
  EXPECT_TRUE(until([&] { return closed; }));
  EXPECT_NE(reason.find("in the middle of a message"), std::string::npos);
}

TEST_F(MessageStreamTest, APeerThatDoesNotReadIsClosed) {
  open();
  for (int i = 0; i < 200 && !closed; ++i) {
    if (stream) stream->send(std::string(64 * 1024, 'r'));
    loop->run_once(1ms);
  }
  EXPECT_TRUE(until([&] { return closed; }));
  EXPECT_EQ(reason, "peer does not read");
}

TEST_F(MessageStreamTest, RstIsAReason) {
  open();
  loop->run_once(1ms);
  test::close_with_reset(peer);
  EXPECT_TRUE(until([&] { return closed; }));
  EXPECT_NE(reason.find("connection lost"), std::string::npos);
}

class ExactIoTest : public test::LoopbackTest {
 protected:
  void SetUp() override {
    LoopbackTest::SetUp();
    test::TcpPair pair = test::tcp_pair(8192);
    peer = std::move(pair.theirs);
    endpoint = RawEndpoint::adopt(*loop, std::move(pair.ours));
    exact = std::make_unique<ExactIo>(*loop, *endpoint);
  }
  void TearDown() override {
    endpoint->set_events(&events);
    endpoint->close(CloseMode::kReset);
    EXPECT_TRUE(until([&] { return events.closed; }));
  }
  ExactIo::End wait() {
    EXPECT_TRUE(until([&] { return end.has_value(); }));
    return *end;
  }
  ExactIo::Done done() {
    return [this](ExactIo::End got) { end = got; };
  }

  Fd peer;
  std::unique_ptr<RawEndpoint> endpoint;
  std::unique_ptr<ExactIo> exact;
  test::Recorder events;
  std::optional<ExactIo::End> end;
};

TEST_F(ExactIoTest, ReadsExactlyAcrossPieces) {
  exact->read(200, 5s, done());
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(::send(peer.get(), "0123456789", 10, MSG_NOSIGNAL), 10);
    loop->run_once(1ms);
  }
  EXPECT_EQ(wait(), ExactIo::End::kDone);
  EXPECT_EQ(exact->bytes().size(), 200U);
  endpoint->set_events(&events);
  endpoint->read();
  EXPECT_TRUE(until([&] { return !events.data.empty(); }));
  EXPECT_EQ(events.data.substr(0, 10), "0123456789");
}

TEST_F(ExactIoTest, SilenceEndsAtTheDeadline) {
  exact->read(10, 30ms, done());
  EXPECT_EQ(wait(), ExactIo::End::kTimeout);
}

TEST_F(ExactIoTest, EofAndRstAreTold) {
  exact->read(10, 5s, done());
  ASSERT_EQ(::send(peer.get(), "abc", 3, MSG_NOSIGNAL), 3);
  ::shutdown(peer.get(), SHUT_WR);
  EXPECT_EQ(wait(), ExactIo::End::kEof);
}

TEST_F(ExactIoTest, RstIsAnError) {
  exact->read(10, 5s, done());
  loop->run_once(1ms);
  test::close_with_reset(peer);
  EXPECT_EQ(wait(), ExactIo::End::kError);
  EXPECT_EQ(exact->os_errno(), ECONNRESET);
}

TEST_F(ExactIoTest, AStuckWriteEndsAtTheDeadline) {
  const std::string big(8 * 1024 * 1024, 'w');
  exact->write(as_bytes(big), 50ms, done());
  EXPECT_EQ(wait(), ExactIo::End::kTimeout);
}

}  // namespace
}  // namespace nfr::transport
