// SPDX-License-Identifier: GPL-2.0-only
// post() and stop() from other threads, and a loop that runs on another thread than the one that made it.
#include <atomic>
#include <thread>

#include "unit/io/fixture.hpp"

namespace nfr::io {
namespace {

TEST_F(LoopTest, PostedWorkRunsInOrderOnTheLoopNeverInside) {
  std::vector<int> order;
  loop->post([&] {
    order.push_back(1);
    loop->post([&] { order.push_back(3); });
    order.push_back(2);
  });
  EXPECT_TRUE(order.empty());
  ASSERT_TRUE(until([&] { return order.size() == 3; }));
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST_F(LoopTest, PostsFromManyThreadsAllArriveInEachThreadsOrder) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  std::array<int, kThreads> next{};
  int total = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kPosts; ++i) {
        loop->post([&, thread, i] {
          EXPECT_EQ(next[static_cast<std::size_t>(thread)]++, i);
          if (++total == kThreads * kPosts) loop->stop();
        });
      }
    });
  }
  loop->run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(total, kThreads * kPosts);
}

TEST_F(LoopTest, StopFromAnotherThreadEndsARunThatWaits) {
  std::atomic<bool> waiting{false};
  std::thread stopper([&] {
    while (!waiting.load()) std::this_thread::yield();
    loop->stop();
  });
  loop->post([&] { waiting = true; });
  loop->run();
  stopper.join();
  loop->run();  // stopped stays stopped
}

TEST_F(LoopTest, MadeHereRunsThereWithOperationsSubmittedBefore) {
  const Pair pair = socket_pair();
  Recorder receive;
  std::thread::id ran_on;
  receive.then = [&](Completion&) {
    ran_on = std::this_thread::get_id();
    loop->stop();
  };
  loop->receive(receive, pair.left.get());
  std::thread runner([&] { loop->run(); });
  const std::thread::id runner_id = runner.get_id();
  write_all(pair.right.get(), "across");
  runner.join();
  EXPECT_EQ(ran_on, runner_id);
  EXPECT_EQ(receive.text, "across");
}

TEST_F(LoopTest, DestroyedOnAnotherThreadAfterItsOwnIsGone) {
  const Pair pair = socket_pair();
  Recorder receive;
  std::array<std::byte, 64> memory{};
  loop->receive_into(receive, pair.left.get(), memory);
  loop->post([&] { loop->stop(); });  // so that there is a round, and the receive is in the kernel
  std::thread runner([&] { loop->run(); });
  runner.join();
  EXPECT_TRUE(receive.in_flight());
  loop.reset();
  EXPECT_FALSE(receive.in_flight());
  EXPECT_TRUE(receive.results.empty());
  write_all(pair.right.get(), "nobody reads this");
  EXPECT_EQ(memory[0], std::byte{0});
}

TEST_F(LoopTest, WorkPostedAfterStopIsDroppedAtDestruction) {
  const auto witness = std::make_shared<int>(1);
  bool ran = false;
  loop->stop();
  loop->run();
  loop->post([&ran, witness] { ran = true; });
  EXPECT_EQ(witness.use_count(), 2);
  loop.reset();
  EXPECT_EQ(witness.use_count(), 1);
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace nfr::io
