// SPDX-License-Identifier: GPL-2.0-only
// Posting and waking. At most one write until the loop has woken, so that the write cannot block.
#include "io/mailbox.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/assert.hpp"

namespace nfr::io {

Result<Fd> Mailbox::make_eventfd(int flags) {
  Fd fd(::eventfd(0, EFD_CLOEXEC | flags));
  if (!fd.valid()) return Error::system("eventfd", errno);
  return fd;
}

// The write comes after the lock: whoever it wakes takes the lock at once.
void Mailbox::post(Work work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    if (std::exchange(written_, true)) return;
  }
  write();
}

void Mailbox::wake() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(written_, true)) return;
  }
  write();
}

std::vector<Mailbox::Work> Mailbox::take() {
  const std::lock_guard lock(mutex_);
  written_ = false;
  return std::exchange(posted_, {});
}

void Mailbox::drop() {
  for (;;) {
    std::vector<Work> dropped;
    {
      const std::lock_guard lock(mutex_);
      dropped.swap(posted_);
    }
    if (dropped.empty()) return;
  }
}

void Mailbox::write() {
  const std::uint64_t one = 1;
  NFR_ASSERT(::write(fd_.get(), &one, sizeof(one)) == sizeof(one));
}

}  // namespace nfr::io
