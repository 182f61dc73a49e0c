// SPDX-License-Identifier: GPL-2.0-only
// A pair that rests: nothing in flight, the bytes it holds known and equal to what the kernel's counters say; and what
// is left when it goes on or is given away. The sockets' peers send and check at the same time.
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include "unit/datapath/joined_peers.hpp"

namespace nfr::datapath {
namespace {

using core::FlowEnd;
using namespace std::chrono_literals;

// netinet/tcp.h ends before these; the kernel's struct goes on as linux/tcp.h says.
struct TcpInfo {
  tcp_info head;
  std::uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
};

TcpInfo info_of(int socket) {
  TcpInfo info{};
  socklen_t length = sizeof info;
  EXPECT_EQ(::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
  EXPECT_EQ(length, sizeof info);
  return info;
}

int queued(int socket, unsigned long which) {
  int bytes = 0;
  EXPECT_EQ(::ioctl(socket, which, &bytes), 0);
  return bytes;
}

/// Bytes that were read from the socket by anybody, and that were written to it.
std::uint64_t copied_from(int socket) {
  return info_of(socket).bytes_received - static_cast<std::uint64_t>(queued(socket, SIOCINQ));
}
std::uint64_t written_to(int socket) {
  return info_of(socket).bytes_acked + static_cast<std::uint64_t>(queued(socket, SIOCOUTQ));
}

class RestTest : public test::LoopbackTest, public JoinedPeers, public PairEvents {
 protected:
  void open(int buffer = 0) {
    join(*loop, {buffer, buffer, 0ms}, *this);
    // What the kernel has counted before the first byte of ours (the SYN, on the side that sent it).
    visitor_base = written_to(visitor_socket);
    target_base = written_to(target_socket);
    pair->start();
  }
  void TearDown() override {
    if (pair && !end && !released) pair->cut(FlowEnd::kShutdown);
    EXPECT_TRUE(until([&] { return !pair || end || released; }));
    pair.reset();
    EXPECT_FALSE(visitor.corrupt || target.corrupt);
    EXPECT_EQ(loop->statistics().outstanding, 0U);
  }
  void on_pair_ended(FlowEnd why) override { end = why; }
  void on_pair_rested() override { rested = true; }

  bool rest() {
    rested = false;
    EXPECT_TRUE(pair->rest());
    return until([&] { return rested || end; }, {&visitor, &target}) && rested;
  }
  void some_rounds(std::mt19937& random) {
    for (auto rounds = random() % 12; rounds > 0; --rounds) {
      visitor.reading = random() % 3 != 0;
      target.reading = random() % 3 != 0;
      visitor.step();
      target.step();
      loop->run_once(0ms);
    }
  }
  void expect_balance() const {
    EXPECT_EQ(copied_from(visitor_socket), written_to(target_socket) - target_base + pair->held_to_target());
    EXPECT_EQ(copied_from(target_socket), written_to(visitor_socket) - visitor_base + pair->held_to_visitor());
    EXPECT_EQ(loop->statistics().outstanding, 0U);
  }

  std::uint64_t visitor_base = 0;
  std::uint64_t target_base = 0;
  std::optional<FlowEnd> end;
  bool rested = false;
  bool released = false;
};

TEST_F(RestTest, AnIdlePairRestsAndGoesOn) {
  open();
  settle(5ms);
  ASSERT_TRUE(rest());
  expect_balance();
  visitor.to_send = 1000;
  for (int i = 0; i < 5; ++i) visitor.step(), loop->run_once(1ms);
  EXPECT_EQ(copied_from(visitor_socket), 0U);  // nobody reads
  pair->resume();
  ASSERT_TRUE(until([&] { return target.received == 1000; }, {&visitor, &target}));
}

TEST_F(RestTest, SaturatedBothWaysItRestsAtRandomMomentsAndNoByteIsLost) {
  open(16 * 1024);
  const std::uint64_t kBytes = test::scaled(8192, 512) * 1024ULL;
  visitor.to_send = target.to_send = kBytes;
  std::mt19937 random(7);
  unsigned rests = 0;
  unsigned with_bytes = 0;
  while (visitor.received < kBytes || target.received < kBytes) {
    some_rounds(random);
    ASSERT_TRUE(rest());
    ++rests;
    expect_balance();
    if (pair->held_to_target() + pair->held_to_visitor() > 0) ++with_bytes;
    pair->resume();
  }
  visitor.reading = target.reading = true;
  visitor.fin_after = target.fin_after = true;  // the kernel's counters count a FIN as a byte: so only now
  ASSERT_TRUE(until([&] { return end && visitor.over() && target.over(); }, {&visitor, &target}));
  EXPECT_EQ(*end, FlowEnd::kFinished);
  EXPECT_EQ(visitor.received, kBytes);
  EXPECT_EQ(target.received, kBytes);
  EXPECT_EQ(counters->in_bytes.load(), kBytes);
  EXPECT_GT(rests, 20U);
  EXPECT_GT(with_bytes, 5U);
}

TEST_F(RestTest, WhileItRestsHeldBytesStayAsTheyAre) {
  open(16 * 1024);
  visitor.to_send = test::scaled(3072, 768) * 1024ULL;
  target.reading = false;
  // So many bytes stay in front of the pair only when what is behind it is full.
  ASSERT_TRUE(until([&] { return queued(visitor_socket, SIOCINQ) > 100'000; }, {&visitor}));
  ASSERT_TRUE(rest());
  const std::size_t held = pair->held_to_target();
  EXPECT_GT(held, 0U);
  target.reading = true;
  for (int i = 0; i < 20; ++i) target.step(), loop->run_once(1ms);
  EXPECT_EQ(pair->held_to_target(), held);
  expect_balance();
  pair->resume();
  ASSERT_TRUE(until([&] { return target.received == visitor.to_send; }, {&visitor, &target}));
}

TEST_F(RestTest, AReleasedPairIsKnownToNobody) {
  open(16 * 1024);
  visitor.to_send = target.to_send = test::scaled(4096, 512) * 1024ULL;
  std::mt19937 random(3);
  for (int i = 0; i < 5; ++i) some_rounds(random);
  ASSERT_TRUE(rest());
  expect_balance();
  ReleasedPair given = pair->release();
  released = true;
  pair.reset();
  EXPECT_EQ(loop->statistics().outstanding, 0U);
  EXPECT_EQ(given.visitor.get(), visitor_socket);
  // The counters hold what was sent on, and no more.
  EXPECT_EQ(counters->in_bytes.load(), written_to(target_socket) - target_base);
  EXPECT_EQ(counters->out_bytes.load(), written_to(visitor_socket) - visitor_base);

  // Whoever has it goes on with plain calls.
  move_by_hand(given, visitor.to_send);
  ASSERT_FALSE(HasFailure());

  // The last reference is ours: the peer sees the end at once, though the loop does not run.
  given.target.reset();
  const auto limit = std::chrono::steady_clock::now() + 2s;
  while (!target.over() && std::chrono::steady_clock::now() < limit) target.step_receive();
  EXPECT_EQ(target.error, ECONNRESET);
}

TEST_F(RestTest, FinThatArrivesWithTheRestIsPassedOnFirst) {
  for (int i = 0; i < 50; ++i) {
    open();
    visitor.fin_after = true;
    visitor.step();
    for (int rounds = i % 4; rounds > 0; --rounds) loop->run_once(0ms);
    ASSERT_TRUE(rest());
    const ReleasedPair given = pair->release();
    pair.reset();
    if (given.to_target.ended) {
      ASSERT_TRUE(until([&] { return target.eof; }, {&target}));
    } else {
      std::byte byte{};
      EXPECT_EQ(::recv(given.visitor.get(), &byte, 1, 0), 0);
      EXPECT_FALSE(target.eof);
    }
  }
  released = true;
}

TEST_F(RestTest, AResetBeforeOrWhileItRestsEndsBoth) {
  for (int i = 0; i < 50; ++i) {
    end.reset();
    open();
    settle(2ms);
    if (i % 2 == 0) visitor.reset();
    for (int rounds = i % 5; rounds > 0; --rounds) loop->run_once(0ms);
    if (!pair->ending() && rest()) {
      if (i % 2 != 0) visitor.reset();
      pair->resume();
    }
    ASSERT_TRUE(until([&] { return end && target.over(); }, {&target}));
    EXPECT_EQ(*end, FlowEnd::kVisitorReset);
    EXPECT_EQ(target.error, ECONNRESET);
    pair.reset();
  }
}

}  // namespace
}  // namespace nfr::datapath
