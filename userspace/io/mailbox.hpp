// SPDX-License-Identifier: GPL-2.0-only
// Mailbox: work posted to a loop from other threads, and the eventfd that wakes it. Thread-safe but for the
// constructor and destructor. Does not run the work.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace nfr::io {

class Mailbox {
 public:
  using Work = std::function<void()>;

  /// `fd`: a fresh eventfd.
  explicit Mailbox(Fd fd) : fd_(std::move(fd)) {}
  static Result<Fd> make_eventfd(int flags);

  void post(Work work);
  void wake();
  /// What was posted, once the eventfd has been read: the next post() writes it again.
  std::vector<Work> take();
  /// Destroys what was posted and what its destruction posts.
  void drop();
  int fd() const { return fd_.get(); }

 private:
  void write();  // by whoever set written_

  Fd fd_;
  std::mutex mutex_;
  std::vector<Work> posted_;
  bool written_ = false;  // or about to be; until take()
};

}  // namespace nfr::io
