// SPDX-License-Identifier: GPL-2.0-only
// Accept, connect, receive, send and poll as a user of the loop sees them, on loopback and socket pairs.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "unit/io/fixture.hpp"

namespace nfr::io {
namespace {

TEST_F(LoopTest, AcceptGivesNonBlockingCloseOnExecSockets) {
  const Listener listener = listen_loopback();
  Recorder accept;
  loop->accept(accept, listener.fd.get());
  std::vector<Fd> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(connect_to(listener));
  ASSERT_TRUE(until_results(accept, 5));
  for (const int result : accept.results) {
    const Fd accepted(result);
    ASSERT_TRUE(accepted.valid());
    EXPECT_NE(::fcntl(accepted.get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(accepted.get(), F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_TRUE(accept.last_more);
  EXPECT_TRUE(accept.in_flight());
  loop->cancel(accept);
  ASSERT_TRUE(until([&] { return !accept.in_flight(); }));
  EXPECT_EQ(accept.results.back(), -ECANCELED);
  EXPECT_FALSE(accept.last_more);
}

TEST_F(LoopTest, AcceptOnSomethingThatCannotListenEnds) {
  const Fd idle = tcp_socket();
  const Fd datagram(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  Recorder not_listening;
  Recorder not_stream;
  Recorder not_open;
  loop->accept(not_listening, idle.get());
  loop->accept(not_stream, datagram.get());
  loop->accept(not_open, 1'000'000);
  ASSERT_TRUE(until([&] { return !not_listening.in_flight() && !not_stream.in_flight() && !not_open.in_flight(); }));
  EXPECT_EQ(not_listening.results, std::vector{-EINVAL});
  EXPECT_EQ(not_stream.results, std::vector{-EOPNOTSUPP});
  EXPECT_EQ(not_open.results, std::vector{-EBADF});
  EXPECT_FALSE(not_listening.last_more);
}

TEST_F(LoopTest, ConnectSendReceiveThroughOneLoop) {
  const Listener listener = listen_loopback();
  Recorder accept;
  Recorder connect;
  Recorder send;
  Recorder receive;
  const Fd client = tcp_socket();
  loop->accept(accept, listener.fd.get());
  {
    sockaddr_storage copied = listener.address;  // gone before the loop first runs
    loop->connect(connect, client.get(), copied, listener.length);
    std::memset(&copied, 0xff, sizeof(copied));
  }
  ASSERT_TRUE(until([&] { return !connect.results.empty() && !accept.results.empty(); }));
  ASSERT_EQ(connect.results, std::vector{0});
  const Fd server(accept.results.front());

  const std::string text = "forty-two bytes of something worth sending";
  loop->receive(receive, server.get());
  loop->send(send, client.get(), bytes_of(text));
  ASSERT_TRUE(until_results(receive, 1));
  EXPECT_EQ(receive.text, text);
  EXPECT_EQ(receive.results.front(), static_cast<int>(text.size()));
  EXPECT_EQ(send.results, std::vector{static_cast<int>(text.size())});
  loop->cancel(accept);
  ASSERT_TRUE(until([&] { return !accept.in_flight(); }));
}

TEST_F(LoopTest, ConnectToAClosedPortIsRefused) {
  Listener listener = listen_loopback();
  listener.fd.reset();
  const Fd client = tcp_socket();
  Recorder connect;
  loop->connect(connect, client.get(), listener.address, listener.length);
  ASSERT_TRUE(until_results(connect, 1));
  EXPECT_EQ(connect.results, std::vector{-ECONNREFUSED});
}

TEST_F(LoopTest, ReceiveIntoFillsTheCallersMemory) {
  const Pair pair = socket_pair();
  std::array<std::byte, 16> memory{};
  Recorder receive;
  loop->receive_into(receive, pair.left.get(), memory);
  settle();
  EXPECT_TRUE(receive.in_flight());
  write_all(pair.right.get(), "0123456789");
  ASSERT_TRUE(until_results(receive, 1));
  EXPECT_EQ(receive.results, std::vector{10});
  EXPECT_EQ(std::memcmp(memory.data(), "0123456789", 10), 0);
  EXPECT_TRUE(receive.leases.empty());
}

TEST_F(LoopTest, ReceiveLendsNoMoreThanABufferAtATime) {
  const Pair pair = socket_pair();
  const std::string text(10'000, 'x');
  write_all(pair.right.get(), text);
  Recorder receive;
  receive.then = [&](Completion& completion) {
    EXPECT_EQ(completion.lease.bytes().size(), static_cast<std::size_t>(completion.result));
    EXPECT_LE(completion.result, 4096);
    if (receive.text.size() < text.size()) loop->receive(receive, pair.left.get());
  };
  loop->receive(receive, pair.left.get());
  ASSERT_TRUE(until([&] { return receive.text.size() == text.size(); }));
  EXPECT_EQ(receive.text, text);
  EXPECT_GE(receive.results.size(), 3u);
}

TEST_F(LoopTest, EndOfStreamIsZeroWithoutALeaseAndCostsNoBuffer) {
  make({.entries = 64, .buffer_count = 2, .buffer_bytes = 4096});
  // More ends than buffers: if one of them kept its buffer, the receive after them would wait for ever.
  for (int i = 0; i < 10; ++i) {
    Pair pair = socket_pair();
    Recorder receive;
    receive.then = [](Completion& completion) { EXPECT_TRUE(completion.lease.bytes().empty()); };
    loop->receive(receive, pair.left.get());
    if (i % 2 == 0) settle();  // both ways: found at once, and after waiting
    pair.right.reset();
    ASSERT_TRUE(until_results(receive, 1));
    EXPECT_EQ(receive.results, std::vector{0});
  }
  const Pair pair = socket_pair();
  Recorder receive;
  write_all(pair.right.get(), "still here");
  loop->receive(receive, pair.left.get());
  ASSERT_TRUE(until_results(receive, 1));
  EXPECT_EQ(receive.text, "still here");
}

TEST_F(LoopTest, ResetIsAnErrorAndCostsNoBuffer) {
  make({.entries = 64, .buffer_count = 1, .buffer_bytes = 4096});
  const Listener listener = listen_loopback();
  for (int i = 0; i < 4; ++i) {
    Fd client = connect_to(listener);
    const Fd server(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    Recorder receive;
    loop->receive(receive, server.get());
    if (i % 2 == 0) settle();
    const linger abort{.l_onoff = 1, .l_linger = 0};
    ASSERT_EQ(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)), 0);
    client.reset();
    ASSERT_TRUE(until_results(receive, 1));
    EXPECT_EQ(receive.results, std::vector{-ECONNRESET});
    Recorder send;
    loop->send(send, server.get(), bytes_of(receive.text = "late"));
    ASSERT_TRUE(until_results(send, 1));
    EXPECT_EQ(send.results, std::vector{-EPIPE});  // and no SIGPIPE: this process is still here
  }
  const Pair pair = socket_pair();
  Recorder receive;
  write_all(pair.right.get(), "alive");
  loop->receive(receive, pair.left.get());
  ASSERT_TRUE(until_results(receive, 1));
  EXPECT_EQ(receive.text, "alive");
}

TEST_F(LoopTest, SendIsShortThenWaitsForTheReader) {
  const Pair pair = socket_pair();
  const std::string text(8 * 1024 * 1024, 's');
  std::size_t sent = 0;
  Recorder send;
  send.then = [&](Completion& completion) {
    if (completion.result <= 0) return;
    sent += static_cast<std::size_t>(completion.result);
    if (sent < text.size()) loop->send(send, pair.left.get(), bytes_of(text).subspan(sent));
  };
  loop->send(send, pair.left.get(), bytes_of(text));
  ASSERT_TRUE(until([&] { return sent > 0; }));
  for (int i = 0; i < 5; ++i) loop->run_once(10ms);
  EXPECT_LT(sent, text.size());
  EXPECT_TRUE(send.in_flight());

  std::string drained(64 * 1024, '\0');
  ssize_t got = ::recv(pair.right.get(), drained.data(), drained.size(), 0);
  ASSERT_GT(got, 0);
  const std::size_t before = sent;
  while (got > 0) got = ::recv(pair.right.get(), drained.data(), drained.size(), 0);
  ASSERT_TRUE(until([&] { return sent > before; }));
  for (int i = 0; i < 5; ++i) loop->run_once(10ms);
  ASSERT_TRUE(send.in_flight());
  loop->cancel(send);
  ASSERT_TRUE(until([&] { return !send.in_flight(); }));
  EXPECT_EQ(send.results.back(), -ECANCELED);
}

TEST_F(LoopTest, PollReportsReadinessOnce) {
  const Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Recorder poll;
  loop->poll(poll, event.get(), POLLIN);
  settle();
  EXPECT_TRUE(poll.in_flight());
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(event.get(), &one, sizeof(one)), 8);
  ASSERT_TRUE(until_results(poll, 1));
  EXPECT_NE(poll.results.front() & POLLIN, 0);
  EXPECT_FALSE(poll.in_flight());
  settle();
  EXPECT_EQ(poll.results.size(), 1u);
}

TEST_F(LoopTest, PollForNothingStillReportsHangUp) {
  Pair pair = socket_pair();
  Recorder poll;
  loop->poll(poll, pair.left.get(), 0);
  settle();
  write_all(pair.right.get(), "bytes are not asked for");
  settle();
  EXPECT_TRUE(poll.in_flight());
  pair.right.reset();
  ASSERT_TRUE(until_results(poll, 1));
  EXPECT_NE(poll.results.front() & POLLHUP, 0);
}

}  // namespace
}  // namespace nfr::io
