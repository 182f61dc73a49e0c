// SPDX-License-Identifier: GPL-2.0-only
// The steady state of a flow allocates nothing: completions, buffers and timers come from what is there already.
// Counted by the sanitizer's hooks, so only built into sanitized tests.
#if defined(__SANITIZE_ADDRESS__)
#include <atomic>

#include "datapath/pair.hpp"
#include "harness/loopback.hpp"
#include "transport/raw_endpoint.hpp"

// In the run-time library of both compilers; gcc has no header for it.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),
                                                         void (*on_free)(const volatile void*));

namespace nfr::datapath {
namespace {

std::atomic<std::uint64_t> allocations{0};

class AllocationTest : public test::LoopbackTest, public PairEvents {
 protected:
  static void SetUpTestSuite() {
    ASSERT_NE(__sanitizer_install_malloc_and_free_hooks(
                  [](const volatile void*, std::size_t) { allocations.fetch_add(1, std::memory_order_relaxed); },
                  [](const volatile void*) {}),
              0);
  }
  void on_pair_ended(core::FlowEnd) override { over = true; }
  bool over = false;
};

/// One byte there and back, through the pair and read by plain calls.
void round_trip(io::Loop& loop, int from, int to) {
  char byte = 'x';
  ASSERT_EQ(::send(from, &byte, 1, MSG_NOSIGNAL), 1);
  for (int round = 0; ::recv(to, &byte, 1, MSG_DONTWAIT) != 1; ++round) {
    ASSERT_LT(round, 1000);
    loop.run_once(std::chrono::milliseconds(1));
  }
}

TEST_F(AllocationTest, PingPongAllocatesNothing) {
  test::TcpPair left = test::tcp_pair();
  test::TcpPair right = test::tcp_pair();
  Pair pair(*loop, transport::RawEndpoint::adopt(*loop, std::move(left.ours)),
            transport::RawEndpoint::adopt(*loop, std::move(right.ours)), std::make_shared<core::FlowCounters>(),
            std::chrono::hours(1), *this);
  pair.start();
  for (int i = 0; i < 100; ++i) {
    round_trip(*loop, left.theirs.get(), right.theirs.get());
    round_trip(*loop, right.theirs.get(), left.theirs.get());
  }
  const std::uint64_t completions = loop->statistics().completions;
  const std::uint64_t before = allocations.load();
  for (int i = 0; i < 2000; ++i) {
    round_trip(*loop, left.theirs.get(), right.theirs.get());
    round_trip(*loop, right.theirs.get(), left.theirs.get());
  }
  // The watch over a stuck write is a timer, armed again each tenth of a second at most: a node each time.
  EXPECT_LE(allocations.load() - before, 40U);
  EXPECT_GE(loop->statistics().completions - completions, 8000U);
  pair.cut(core::FlowEnd::kShutdown);
  EXPECT_TRUE(until([&] { return over; }));
}

}  // namespace
}  // namespace nfr::datapath
#endif
