// SPDX-License-Identifier: GPL-2.0-only
// Lent receive buffers: exhaustion parks receives, a returned lease resumes them, bad options are named.
#include "io/uring_loop.hpp"
#include "unit/io/fixture.hpp"

namespace nfr::io {
namespace {

TEST_F(LoopTest, ExhaustedBuffersParkReceivesUntilALeaseReturns) {
  make({.entries = 64, .buffer_count = 2, .buffer_bytes = 4096});
  constexpr std::size_t kStreams = 6;
  std::vector<Pair> pairs;
  std::vector<std::unique_ptr<Recorder>> receives;
  for (std::size_t i = 0; i < kStreams; ++i) {
    pairs.push_back(socket_pair());
    write_all(pairs[i].right.get(), std::string(1, static_cast<char>('a' + i)));
    receives.push_back(std::make_unique<Recorder>());
    receives[i]->keep_leases = true;
    loop->receive(*receives[i], pairs[i].left.get());
  }
  const auto done = [&] {
    std::size_t count = 0;
    for (const auto& receive : receives) count += receive->results.size();
    return count;
  };
  for (std::size_t expected = 2; expected <= kStreams; ++expected) {
    ASSERT_TRUE(until([&] { return done() == expected; }));
    const auto before = loop->statistics();
    for (int i = 0; i < 3; ++i) loop->run_once(5ms);
    EXPECT_EQ(done(), expected);
    EXPECT_LE(loop->statistics().enters - before.enters, 3u);  // parked ones wait, they are not tried again
    for (auto& receive : receives) {
      if (receive->leases.empty()) continue;
      receive->leases.clear();
      break;
    }
  }
  for (std::size_t i = 0; i < kStreams; ++i) {
    EXPECT_EQ(receives[i]->text, std::string(1, static_cast<char>('a' + i)));
    receives[i]->leases.clear();
  }
}

TEST_F(LoopTest, AnIdleParkedReceiveDoesNotHoldUpOthers) {
  make({.entries = 64, .buffer_count = 1, .buffer_bytes = 4096});
  const Pair first = socket_pair();
  const Pair idle = socket_pair();
  const Pair busy = socket_pair();
  Recorder holder;
  holder.keep_leases = true;
  write_all(first.right.get(), "held");
  loop->receive(holder, first.left.get());
  ASSERT_TRUE(until_results(holder, 1));
  Recorder waits;
  Recorder works;
  loop->receive(waits, idle.left.get());
  loop->receive(works, busy.left.get());
  write_all(busy.right.get(), "through");
  settle();
  EXPECT_TRUE(works.results.empty());
  holder.leases.clear();
  ASSERT_TRUE(until_results(works, 1));
  EXPECT_EQ(works.text, "through");
  EXPECT_TRUE(waits.in_flight());
  loop->cancel(waits);
  ASSERT_TRUE(until([&] { return !waits.in_flight(); }));
}

TEST_F(LoopTest, CancellingAParkedReceiveCompletesItFromTheLoop) {
  make({.entries = 64, .buffer_count = 1, .buffer_bytes = 4096});
  const Pair pair = socket_pair();
  Recorder holder;
  holder.keep_leases = true;
  write_all(pair.right.get(), "held");
  loop->receive(holder, pair.left.get());
  ASSERT_TRUE(until_results(holder, 1));

  const Pair other = socket_pair();
  Recorder parked;
  write_all(other.right.get(), "x");
  loop->receive(parked, other.left.get());
  settle();
  loop->cancel(parked);
  loop->cancel(parked);  // asking twice is asking once
  EXPECT_TRUE(parked.results.empty());
  EXPECT_TRUE(parked.in_flight());
  loop->run_once(0ms);
  EXPECT_EQ(parked.results, std::vector{-ECANCELED});

  // The same slot parked anew: the old place in the queue must not count for it.
  loop->receive(parked, other.left.get());
  settle();
  EXPECT_EQ(parked.results.size(), 1u);
  holder.leases.clear();
  ASSERT_TRUE(until_results(parked, 2));
  EXPECT_EQ(parked.text, "x");
  EXPECT_EQ(parked.results.back(), 1);
}

TEST_F(LoopTest, MovedLeasesReturnOnce) {
  make({.entries = 64, .buffer_count = 1, .buffer_bytes = 64});
  const Pair pair = socket_pair();
  for (int i = 0; i < 5; ++i) {
    Recorder receive;
    receive.keep_leases = true;
    write_all(pair.right.get(), "lease");
    loop->receive(receive, pair.left.get());
    ASSERT_TRUE(until_results(receive, 1));
    Lease moved = std::move(receive.leases.front());
    Lease target;
    target = std::move(moved);
    EXPECT_EQ(target.bytes().size(), 5u);
    EXPECT_TRUE(moved.bytes().empty());  // NOLINT(bugprone-use-after-move): what a moved-from lease is
    target.release();
    target.release();
    EXPECT_TRUE(target.bytes().empty());
  }
}

TEST(LoopOptionsTest, BadOptionsAreNamed) {
  const auto refused = [](LoopOptions options) {
    auto loop = Loop::create(options);
    if (loop.ok()) return std::string("accepted");
    EXPECT_EQ(loop.error().code(), Code::kInvalid);
    return loop.error().message();
  };
  EXPECT_EQ(refused({.entries = 64, .buffer_count = 3, .buffer_bytes = 64}),
            "creating the event loop: buffer_count 3: must be a power of two from 1 to 32768");
  EXPECT_EQ(refused({.entries = 64, .buffer_count = 0, .buffer_bytes = 64}),
            "creating the event loop: buffer_count 0: must be a power of two from 1 to 32768");
  EXPECT_EQ(refused({.entries = 64, .buffer_count = 4, .buffer_bytes = 0}),
            "creating the event loop: buffer_bytes 0: must be at least 1");
  EXPECT_EQ(refused({.entries = 0, .buffer_count = 4, .buffer_bytes = 64}),
            "creating the event loop: entries 0: must be a power of two");
}

TEST(RingTest, FallsBackWhenFlagsAreUnknownAndReportsWhenNoneIsLeft) {
  constexpr unsigned kUnknown = 1U << 30;
  const std::array sets = {preferred_flag_sets().front() | kUnknown, preferred_flag_sets().back()};
  auto loop = UringLoop::create({.entries = 8, .buffer_count = 1, .buffer_bytes = 64}, sets);
  ASSERT_TRUE(loop.ok()) << loop.error().message();
  EXPECT_EQ((*loop)->setup_flags() & IORING_SETUP_DEFER_TASKRUN, 0u);
  bool ran = false;
  (*loop)->post([&] { ran = true; });
  for (int i = 0; i < 100 && !ran; ++i) (*loop)->run_once(100ms);
  EXPECT_TRUE(ran);

  auto none = UringLoop::create({.entries = 8, .buffer_count = 1, .buffer_bytes = 64}, std::span(sets).first(1));
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code(), Code::kSystem);
  EXPECT_EQ(none.error().os_errno(), EINVAL);
}

TEST(RingTest, TakesTheBestFlagsHere) {
  auto loop = UringLoop::create({.entries = 8, .buffer_count = 1, .buffer_bytes = 64}, preferred_flag_sets());
  ASSERT_TRUE(loop.ok()) << loop.error().message();
  EXPECT_NE((*loop)->setup_flags() & IORING_SETUP_DEFER_TASKRUN, 0u);
  EXPECT_NE((*loop)->setup_flags() & IORING_SETUP_SINGLE_ISSUER, 0u);
}

}  // namespace
}  // namespace nfr::io
