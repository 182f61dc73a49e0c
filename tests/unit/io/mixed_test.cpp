// SPDX-License-Identifier: GPL-2.0-only
// Ten thousand operations of every kind under a fixed seed: bytes arrive complete and in order, cancels land
// anywhere, and no slot or buffer is lost.
#include <poll.h>

#include <random>

#include "harness/scale.hpp"
#include "io/uring_loop.hpp"
#include "unit/io/fixture.hpp"

namespace nfr::io {
namespace {

/// Byte at an offset of the stream; differs from its neighbours and from other streams'.
char byte_at(std::size_t stream, std::size_t offset) {
  return static_cast<char>((offset * 131 + offset / 251 + stream * 17) & 0xff);
}

/// One direction of a socket pair: sends in odd sizes, receives either way, polls, and is cancelled at random.
class Stream {
 public:
  Stream(Loop& loop, std::size_t id, std::mt19937& random) : loop_(loop), id_(id), random_(random) {
    send_.then = [this](Completion& completion) { sent(completion); };
    receive_.then = [this](Completion& completion) { received(completion); };
  }

  void step() {
    if (random_() % 2 == 0) held_.release();
    if (!send_.in_flight()) start_send();
    if (!receive_.in_flight()) start_receive();
    if (!poll_.in_flight()) begin([&] { loop_.poll(poll_, pair_.right.get(), POLLIN); });
    const unsigned dice = random_() % 16;
    if (dice == 0) loop_.cancel(send_);
    if (dice == 1) loop_.cancel(receive_);
    if (dice == 2) loop_.cancel(poll_);
  }

  void cancel_all() {
    for (Recorder* operation : {&send_, &receive_, &poll_}) loop_.cancel(*operation);
  }
  bool idle() const { return !send_.in_flight() && !receive_.in_flight() && !poll_.in_flight(); }
  std::size_t started() const { return started_; }
  std::size_t completed() const { return send_.results.size() + receive_.results.size() + poll_.results.size(); }
  std::size_t bytes_received() const { return received_; }

  /// What is still in the socket, after everything was cancelled.
  void drain() {
    std::array<char, 4096> rest{};
    for (ssize_t got = 0; (got = ::recv(pair_.right.get(), rest.data(), rest.size(), MSG_DONTWAIT)) > 0;) {
      check(std::as_bytes(std::span(rest)).first(static_cast<std::size_t>(got)));
    }
    EXPECT_EQ(received_, sent_);
  }

 private:
  template <class Submit>
  void begin(Submit submit) {
    ++started_;
    submit();
  }
  void start_send() {
    chunk_.resize(1 + random_() % 9000);
    for (std::size_t i = 0; i < chunk_.size(); ++i) chunk_[i] = byte_at(id_, sent_ + i);
    begin([&] { loop_.send(send_, pair_.left.get(), bytes_of(chunk_)); });
  }
  void start_receive() {
    into_memory_ = random_() % 2 == 0;
    begin([&] {
      into_memory_ ? loop_.receive_into(receive_, pair_.right.get(), memory_)
                   : loop_.receive(receive_, pair_.right.get());
    });
  }
  void sent(const Completion& completion) {
    if (completion.result > 0) sent_ += static_cast<std::size_t>(completion.result);
    EXPECT_TRUE(completion.result > 0 || completion.result == -ECANCELED) << completion.result;
  }
  void received(Completion& completion) {
    if (completion.result < 0) {
      EXPECT_EQ(completion.result, -ECANCELED);
      return;
    }
    const auto size = static_cast<std::size_t>(completion.result);
    check(into_memory_ ? std::span<const std::byte>(memory_).first(size) : completion.lease.bytes());
    held_.release();
    if (!into_memory_ && random_() % 2 == 0) held_ = std::move(completion.lease);
  }
  void check(std::span<const std::byte> bytes) {
    std::size_t same = 0;
    while (same < bytes.size() && static_cast<char>(bytes[same]) == byte_at(id_, received_ + same)) ++same;
    received_ += same;
    ASSERT_EQ(same, bytes.size()) << "stream " << id_ << " differs at " << received_;
  }

  Loop& loop_;
  std::size_t id_;
  std::mt19937& random_;
  Pair pair_ = socket_pair();
  std::string chunk_;
  std::array<std::byte, 3000> memory_{};
  bool into_memory_ = false;
  std::size_t started_ = 0;
  std::size_t sent_ = 0;
  std::size_t received_ = 0;
  Lease held_;
  Recorder send_;
  Recorder receive_;
  Recorder poll_;
};

/// With each set of ring flags, best first.
class MixedTest : public LoopTest, public ::testing::WithParamInterface<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(FlagSets, MixedTest, ::testing::Range(std::size_t{0}, preferred_flag_sets().size()));

TEST_P(MixedTest, TenThousandMixedOperationsLoseNothing) {
  // More streams than buffers, each holding on to a lease for a round or two: receives park all the while.
  auto made = UringLoop::create({.entries = 16, .buffer_count = 16, .buffer_bytes = 2048},
                                preferred_flag_sets().subspan(GetParam(), 1));
  ASSERT_TRUE(made.ok()) << made.error().message();
  loop = std::move(*made);
  std::mt19937 random(20240611);
  std::vector<std::unique_ptr<Stream>> streams;
  for (std::size_t i = 0; i < 24; ++i) streams.push_back(std::make_unique<Stream>(*loop, i, random));
  const auto sum = [&](auto part) {
    std::size_t total = 0;
    for (const auto& stream : streams) total += part(*stream);
    return total;
  };
  const auto completed = [&] { return sum([](const Stream& s) { return s.completed(); }); };
  const auto idle = [&] { return sum([](const Stream& s) { return s.idle() ? std::size_t{1} : 0; }); };

  constexpr int kRoundsMax = 100'000;
  const std::size_t count = nfr::test::scaled(10'000, 1000);
  for (int round = 0; round < kRoundsMax && completed() < count; ++round) {
    for (auto& stream : streams) stream->step();
    loop->run_once(1ms);  // now and then all of them wait for a buffer
  }
  ASSERT_GE(completed(), count);
  for (auto& stream : streams) stream->cancel_all();
  ASSERT_TRUE(until([&] { return idle() == streams.size(); }));
  EXPECT_EQ(completed(), sum([](const Stream& s) { return s.started(); }));
  EXPECT_EQ(loop->statistics().completions, completed());
  EXPECT_GT(sum([](const Stream& s) { return s.bytes_received(); }), count * 100);
  for (auto& stream : streams) stream->drain();
  streams.clear();

  // Every buffer is back: as many receives as there are buffers are served at the same time.
  std::vector<Pair> pairs;
  std::vector<std::unique_ptr<Recorder>> receives;
  for (std::size_t i = 0; i < 16; ++i) {
    pairs.push_back(socket_pair());
    write_all(pairs[i].right.get(), "back");
    receives.push_back(std::make_unique<Recorder>());
    receives[i]->keep_leases = true;
    loop->receive(*receives[i], pairs[i].left.get());
  }
  for (const auto& receive : receives) ASSERT_TRUE(until_results(*receive, 1));
}

}  // namespace
}  // namespace nfr::io
