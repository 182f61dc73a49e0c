// SPDX-License-Identifier: GPL-2.0-only
// Loop::create: which back end, by trying. Called once a thread.
#include "io/epoll_loop.hpp"
#include "io/uring_loop.hpp"

namespace nfr::io {
namespace {

template <class Made>
Result<std::unique_ptr<Loop>> as_loop(Result<std::unique_ptr<Made>> made) {
  if (!made) return made.error().context("creating the event loop");
  return std::unique_ptr<Loop>(std::move(*made));
}

}  // namespace

Result<std::unique_ptr<Loop>> Loop::create(const LoopOptions& options) {
  if (options.choice == IoChoice::kEpoll) return as_loop(EpollLoop::create(options));
  auto ring = UringLoop::create(options, preferred_flag_sets());
  if (ring || options.choice == IoChoice::kUring || ring.error().code() == Code::kInvalid) {
    return as_loop(std::move(ring));
  }
  auto loop = EpollLoop::create(options);
  if (loop) (*loop)->explain(ring.error().message());
  return as_loop(std::move(loop));
}

}  // namespace nfr::io
