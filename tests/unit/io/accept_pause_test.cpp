// SPDX-License-Identifier: GPL-2.0-only
// Accepting while descriptors run out: it rests without spinning, leaves one descriptor for control, and goes on.
#include <fcntl.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <sstream>

#include "io/accept_policy.hpp"
#include "unit/io/fixture.hpp"

namespace nfr::io {
namespace {

/// The process log, kept. UBSan opens a pipe to look at an object's type the first time it meets it and remembers
/// afterwards: hence the first line, and accept_once(), while there still are descriptors.
class KeptLog {
 public:
  KeptLog() {
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("kept", std::make_shared<spdlog::sinks::ostream_sink_st>(text_)));
    spdlog::warn("log {} kept: {}", "is", std::string("first line"));
  }
  ~KeptLog() { spdlog::set_default_logger(before_); }
  std::size_t count(std::string_view what) const {
    std::size_t found = 0;
    const std::string all = text_.str();
    for (std::size_t at = all.find(what); at != std::string::npos; at = all.find(what, at + 1)) ++found;
    return found;
  }

 private:
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  std::ostringstream text_;
};

/// Lowers the soft limit, and takes every descriptor that is left below it.
class NoDescriptors {
 public:
  NoDescriptors() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    rlimit low = before_;
    low.rlim_cur = std::min<rlim_t>(before_.rlim_cur, 256);
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    take_all();
  }
  ~NoDescriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }
  void take_all() {
    for (;;) {
      Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!fd.valid()) break;
      taken_.push_back(std::move(fd));
    }
    EXPECT_EQ(errno, EMFILE);
  }
  void free_all() { taken_.clear(); }

 private:
  rlimit before_{};
  std::vector<Fd> taken_;
};

void accept_once(Loop& loop) {
  const Listener listener = listen_loopback();
  const Fd client = connect_to(listener);
  Recorder accept;
  loop.accept(accept, listener.fd.get());
  while (accept.results.empty()) loop.run_once(50ms);
  const Fd accepted(accept.results.front());
  loop.cancel(accept);
  while (accept.in_flight()) loop.run_once(50ms);
}

TEST_F(LoopTest, AcceptRestsWhileDescriptorsAreShortThenGoesOn) {
  const Listener listener = listen_loopback();
  std::vector<Fd> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(connect_to(listener));
  std::vector<Fd> accepted;
  Recorder accept;
  const KeptLog log;
  accept_once(*loop);
  accept.then = [&](Completion& completion) { accepted.emplace_back(completion.result); };
  {
    NoDescriptors none;
    loop->accept(accept, listener.fd.get());
    settle();
    {
      // The loop let its spare go: control can still open a file while nothing is accepted.
      const Fd control(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      EXPECT_TRUE(control.valid());
      const auto before = loop->statistics();
      const auto end = std::chrono::steady_clock::now() + 350ms;
      while (std::chrono::steady_clock::now() < end) loop->run_once(50ms);
      EXPECT_LE(loop->statistics().enters - before.enters, 20u);  // no spinning
    }
    EXPECT_TRUE(accept.results.empty());
    EXPECT_TRUE(accept.in_flight());
    none.free_all();
    ASSERT_TRUE(until_results(accept, 3));
  }
  for (const Fd& fd : accepted) EXPECT_TRUE(fd.valid());
  EXPECT_EQ(log.count("accepting pauses"), 1u);  // it rested several times
  EXPECT_TRUE(accept.in_flight());
  loop->cancel(accept);
  ASSERT_TRUE(until([&] { return !accept.in_flight(); }));
}

TEST_F(LoopTest, ARestingAcceptCanBeCancelled) {
  const Listener listener = listen_loopback();
  const Fd client = connect_to(listener);
  Recorder accept;
  const KeptLog log;
  accept_once(*loop);
  NoDescriptors none;
  loop->accept(accept, listener.fd.get());
  settle();
  ASSERT_TRUE(accept.in_flight());
  loop->cancel(accept);
  EXPECT_TRUE(accept.results.empty());
  loop->run_once(0ms);
  EXPECT_EQ(accept.results, std::vector{-ECANCELED});
  // The slot is used again while its old place in the resting list is still there.
  loop->accept(accept, listener.fd.get());
  none.free_all();
  ASSERT_TRUE(until_results(accept, 2));
  const Fd accepted(accept.results.back());
  EXPECT_TRUE(accepted.valid());
  loop->cancel(accept);
  ASSERT_TRUE(until([&] { return !accept.in_flight(); }));
  EXPECT_EQ(accept.results.size(), 3u);
}

TEST(AcceptPolicyTest, ErrorsAreJudged) {
  for (const int error : {EAGAIN, EINTR, ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH}) {
    EXPECT_EQ(judge_accept_error(error), AcceptVerdict::kAgain) << error;
  }
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    EXPECT_EQ(judge_accept_error(error), AcceptVerdict::kPause) << error;
  }
  for (const int error : {EBADF, EINVAL, ENOTSOCK, EOPNOTSUPP, EPERM, ECANCELED}) {
    EXPECT_EQ(judge_accept_error(error), AcceptVerdict::kEnd) << error;
  }
}

TEST(SpareDescriptorTest, ComesBackOnlyWhenThereIsRoom) {
  const Fd of(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  SpareDescriptor spare(of.get());
  EXPECT_TRUE(spare.held());
  NoDescriptors none;
  EXPECT_TRUE(spare.retake());
  spare.let_go();
  EXPECT_FALSE(spare.held());
  none.take_all();
  EXPECT_FALSE(spare.retake());
  none.free_all();
  EXPECT_TRUE(spare.retake());
  EXPECT_TRUE(spare.held());
}

}  // namespace
}  // namespace nfr::io
