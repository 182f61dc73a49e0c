// SPDX-License-Identifier: GPL-2.0-only
#include "io/pipes.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "base/assert.hpp"

namespace nfr::io {
namespace {

// Below that it moves less at once than a receive copies. A user over pipe-user-pages-soft gets two pages.
constexpr int kBytesMin = 64 * 1024;

std::unique_ptr<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return nullptr;
  auto pipe = std::make_unique<Pipe>(Pipe{Fd(ends[0]), Fd(ends[1])});
  if (::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(PipePool::kBytes)) >= kBytesMin) return pipe;
  return ::fcntl(ends[1], F_GETPIPE_SZ) >= kBytesMin ? std::move(pipe) : nullptr;
}

}  // namespace

std::vector<std::byte> Pipe::drain() {
  std::vector<std::byte> bytes(held);
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t got = ::read(out.get(), bytes.data() + at, bytes.size() - at);
    NFR_ASSERT(got > 0);  // they are there
    at += static_cast<std::size_t>(got);
  }
  held = 0;
  return bytes;
}

std::unique_ptr<Pipe> PipePool::lend() {
  std::unique_ptr<Pipe> pipe;
  if (!free_.empty()) {
    pipe = std::move(free_.back());
    free_.pop_back();
  } else if (lent_ < count_max_) {
    pipe = make_pipe();
  }
  if (!pipe) return nullptr;
  ++lent_;
  ++lends_;
  return pipe;
}

void PipePool::give_back(std::unique_ptr<Pipe> pipe) {
  if (!pipe) return;
  NFR_ASSERT(lent_ > 0);
  --lent_;
  if (pipe->held == 0) free_.push_back(std::move(pipe));
}

}  // namespace nfr::io
