// SPDX-License-Identifier: GPL-2.0-only
#include "holder/visitor_reset.hpp"

#include <sys/socket.h>

#include <cerrno>

#include "base/fd.hpp"

namespace nfr::holder {
namespace {

// Errors that belong to the one connection, which is gone by then (accept(2): treat like EAGAIN and retry).
bool belongs_to_connection(int error) {
  return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM || error == ENETDOWN ||
         error == EHOSTUNREACH || error == ENETUNREACH || error == EOPNOTSUPP;
}

}  // namespace

ResetResult reset_queued(int listener, unsigned count_max) {
  ResetResult result;
  for (unsigned attempt = 0; attempt < count_max; ++attempt) {
    const Fd visitor(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!visitor.valid()) {
      if (belongs_to_connection(errno)) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) result.os_errno = errno;
      return result;
    }
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(visitor.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    ++result.count;
  }
  return result;
}

}  // namespace nfr::holder
