// SPDX-License-Identifier: GPL-2.0-only
// Lifetimes: cancelling each kind, resubmitting and destroying from complete(), slots reused, loops that die first.
#include <poll.h>

#include "io/slots.hpp"
#include "unit/io/fixture.hpp"

namespace nfr::io {
namespace {

TEST_F(LoopTest, EveryKindCanBeCancelledAndCompletesLater) {
  const Pair idle = socket_pair();
  const Pair full = socket_pair();
  const std::string chunk(1024 * 1024, 'f');
  while (::send(full.left.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL) > 0) {
  }
  const Listener listener = listen_loopback();
  std::array<std::byte, 8> memory{};
  std::array<Recorder, 5> operations;
  loop->accept(operations[0], listener.fd.get());
  loop->receive(operations[1], idle.left.get());
  loop->receive_into(operations[2], idle.right.get(), memory);
  loop->send(operations[3], full.left.get(), bytes_of(chunk));
  loop->poll(operations[4], idle.left.get(), POLLIN);
  settle();
  for (Recorder& operation : operations) {
    ASSERT_TRUE(operation.in_flight());
    loop->cancel(operation);
    EXPECT_TRUE(operation.results.empty());
  }
  for (Recorder& operation : operations) {
    ASSERT_TRUE(until([&] { return !operation.in_flight(); }));
    EXPECT_EQ(operation.results, std::vector{-ECANCELED});
  }
  loop->cancel(operations[0]);  // idle: no effect
  settle();
  EXPECT_EQ(operations[0].results.size(), 1u);
}

TEST_F(LoopTest, AConnectThatHangsCanBeCancelled) {
  const Listener listener = listen_loopback(0);
  std::vector<Fd> queued;  // fills the listen queue: further SYNs are dropped
  for (int i = 0; i < 4; ++i) {
    queued.push_back(tcp_socket());
    ::connect(queued.back().get(), reinterpret_cast<const sockaddr*>(&listener.address), listener.length);
  }
  const Fd client = tcp_socket();
  Recorder connect;
  loop->connect(connect, client.get(), listener.address, listener.length);
  settle();
  ASSERT_TRUE(connect.in_flight());
  loop->cancel(connect);
  ASSERT_TRUE(until([&] { return !connect.in_flight(); }));
  EXPECT_EQ(connect.results, std::vector{-ECANCELED});
}

TEST_F(LoopTest, CancelledBeforeTheFirstRoundStillCompletes) {
  const Pair pair = socket_pair();
  Recorder receive;
  loop->receive(receive, pair.left.get());
  loop->cancel(receive);
  ASSERT_TRUE(until([&] { return !receive.in_flight(); }));
  EXPECT_EQ(receive.results, std::vector{-ECANCELED});
}

TEST_F(LoopTest, CancelRacingWithBytesNeverLosesAndNeverHangs) {
  for (int i = 0; i < 200; ++i) {
    const Pair pair = socket_pair();
    Recorder receive;
    loop->receive(receive, pair.left.get());
    settle();
    write_all(pair.right.get(), "r");
    loop->cancel(receive);
    ASSERT_TRUE(until([&] { return !receive.in_flight(); }));
    char left = 0;
    const bool still_there = ::recv(pair.left.get(), &left, 1, MSG_DONTWAIT) == 1;
    EXPECT_NE(still_there, receive.text == "r");
    EXPECT_EQ(receive.results, std::vector{still_there ? -ECANCELED : 1});
  }
}

TEST_F(LoopTest, OperationMayDestroyItselfInComplete) {
  const Pair pair = socket_pair();
  auto operation = std::make_unique<CallbackOperation>();
  int result = 0;
  std::string text;
  operation->handler = [&](Completion completion) {
    result = completion.result;
    operation.reset();
    const auto bytes = completion.lease.bytes();  // the lease is the handler's, not the operation's
    text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  loop->receive(*operation, pair.left.get());
  write_all(pair.right.get(), "last words");
  ASSERT_TRUE(until([&] { return operation == nullptr; }));
  EXPECT_EQ(result, 10);
  EXPECT_EQ(text, "last words");
}

TEST_F(LoopTest, OperationMayBeSubmittedAgainAndCancelledFromComplete) {
  const Pair pair = socket_pair();
  Recorder receive;
  receive.then = [&](Completion& completion) {
    if (completion.result < 0) return;
    EXPECT_FALSE(receive.in_flight());
    loop->receive(receive, pair.left.get());
    if (receive.results.size() == 3) loop->cancel(receive);
  };
  loop->receive(receive, pair.left.get());
  for (int i = 0; i < 3; ++i) {
    write_all(pair.right.get(), "again");
    ASSERT_TRUE(until_results(receive, static_cast<std::size_t>(i) + 1));
  }
  ASSERT_TRUE(until([&] { return !receive.in_flight(); }));
  EXPECT_EQ(receive.results, (std::vector{5, 5, 5, -ECANCELED}));
}

TEST_F(LoopTest, AcceptMayCancelItselfWhileMoreIsTrue) {
  const Listener listener = listen_loopback();
  Recorder accept;
  std::vector<Fd> accepted;
  accept.then = [&](Completion& completion) {
    if (completion.result >= 0) accepted.emplace_back(completion.result);
    if (completion.more) loop->cancel(accept);
  };
  loop->accept(accept, listener.fd.get());
  const Fd one = connect_to(listener);
  ASSERT_TRUE(until([&] { return !accept.in_flight(); }));
  EXPECT_EQ(accepted.size(), 1u);
  EXPECT_FALSE(accept.last_more);
}

TEST_F(LoopTest, MoreOperationsThanTheRingHasEntries) {
  make({.entries = 4, .buffer_count = 2, .buffer_bytes = 64});
  constexpr std::size_t kMany = 500;
  std::vector<Pair> pairs;
  std::vector<std::unique_ptr<Recorder>> receives;
  for (std::size_t i = 0; i < kMany; ++i) {
    pairs.push_back(socket_pair());
    receives.push_back(std::make_unique<Recorder>());
    loop->receive(*receives[i], pairs[i].left.get());
    write_all(pairs[i].right.get(), std::to_string(i));
  }
  for (std::size_t i = 0; i < kMany; ++i) {
    ASSERT_TRUE(until_results(*receives[i], 1));
    EXPECT_EQ(receives[i]->text, std::to_string(i));
  }
  EXPECT_EQ(loop->statistics().completions, kMany);
}

TEST_F(LoopTest, ARoundEntersOnce) {
  make({.entries = 256, .buffer_count = 128, .buffer_bytes = 64});
  std::vector<Pair> pairs;
  std::vector<std::unique_ptr<Recorder>> receives;
  for (std::size_t i = 0; i < 100; ++i) {
    pairs.push_back(socket_pair());
    write_all(pairs[i].right.get(), "batch");
    receives.push_back(std::make_unique<Recorder>());
    loop->receive(*receives[i], pairs[i].left.get());
  }
  loop->run_once(1s);
  EXPECT_EQ(loop->statistics().enters, 1u);
  EXPECT_EQ(loop->statistics().completions, 100u);
}

TEST_F(LoopTest, LoopDiesFirstWithEverythingInFlight) {
  make({.entries = 64, .buffer_count = 1, .buffer_bytes = 4096});
  const Pair pair = socket_pair();
  const Pair other = socket_pair();
  const Listener listener = listen_loopback();
  std::array<std::byte, 8> memory{};
  std::array<Recorder, 5> operations;
  Recorder holder;
  holder.keep_leases = true;
  write_all(pair.right.get(), "held");
  loop->receive(holder, pair.left.get());
  ASSERT_TRUE(until_results(holder, 1));
  loop->accept(operations[0], listener.fd.get());
  loop->receive(operations[1], other.left.get());  // parks
  loop->receive_into(operations[2], other.left.get(), memory);
  settle();
  loop->cancel(operations[1]);                     // waits to complete
  loop->poll(operations[3], other.left.get(), 0);  // never reaches the kernel
  const Fd client = connect_to(listener);          // accepted by nobody
  holder.leases.clear();
  loop.reset();
  for (const Recorder& operation : operations) {
    EXPECT_FALSE(operation.in_flight());
    EXPECT_TRUE(operation.results.empty());
  }
  write_all(other.right.get(), "12345678");
  EXPECT_EQ(memory[0], std::byte{0});
}

TEST_F(LoopTest, LoopThatNeverRanDies) {
  const Pair pair = socket_pair();
  Recorder receive;
  loop->receive(receive, pair.left.get());
  loop.reset();
  EXPECT_FALSE(receive.in_flight());
}

using LoopDeathTest = LoopTest;

TEST_F(LoopDeathTest, OperationDyingInFlightIsABug) {
  const Pair pair = socket_pair();
  EXPECT_DEATH(
      {
        Recorder receive;
        loop->receive(receive, pair.left.get());
      },
      "in_flight");
}

TEST_F(LoopDeathTest, SubmittingTwiceIsABug) {
  const Pair pair = socket_pair();
  Recorder receive;
  loop->receive(receive, pair.left.get());
  EXPECT_DEATH(loop->receive(receive, pair.left.get()), "in_flight");
  loop->cancel(receive);
  ASSERT_TRUE(until([&] { return !receive.in_flight(); }));
}

TEST_F(LoopDeathTest, RunningTheLoopFromAHandlerIsABug) {
  loop->post([&] { loop->run_once(0ms); });
  EXPECT_DEATH(loop->run_once(100ms), "in_round_");
  loop.reset();
}

TEST(SlotTableTest, ReusedSlotsHaveNewGenerations) {
  SlotTable slots;
  Recorder one;
  Recorder two;
  const Token first = slots.take(one, {});
  EXPECT_EQ(&slots.release(first), &one);
  const Token second = slots.take(two, {});
  EXPECT_EQ(second.slot(), first.slot());
  EXPECT_NE(second.user_data(), first.user_data());
  EXPECT_FALSE(slots.current(first));
  EXPECT_TRUE(slots.current(second));
  EXPECT_DEATH(slots.at(first), "current");
  EXPECT_EQ(slots.all().size(), 1u);
}

TEST(SlotTableTest, TokensKeepTheirParts) {
  const Token token(Tag::kCancel, 0xffff'fffe, Token::kGenerationMask);
  EXPECT_EQ(token.tag(), Tag::kCancel);
  EXPECT_EQ(token.slot(), 0xffff'fffeU);
  EXPECT_EQ(token.generation(), Token::kGenerationMask);
  EXPECT_EQ(token.as(Tag::kOperation).tag(), Tag::kOperation);
  EXPECT_EQ(token.as(Tag::kOperation).generation(), Token::kGenerationMask);
  EXPECT_EQ(Token(token.user_data()).slot(), token.slot());
}

TEST(SlotTableTest, GenerationsWrapInsideTheirBits) {
  SlotTable slots;
  Recorder operation;
  slots.release(slots.take(operation, {}));
  slots.all()[0].generation = Token::kGenerationMask;
  const Token last = slots.take(operation, {});
  EXPECT_EQ(last.generation(), Token::kGenerationMask);
  slots.release(last);
  const Token wrapped = slots.take(operation, {});
  EXPECT_EQ(wrapped.generation(), 0u);
  EXPECT_EQ(wrapped.tag(), Tag::kOperation);
}

}  // namespace
}  // namespace nfr::io
