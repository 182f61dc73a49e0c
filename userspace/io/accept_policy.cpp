// SPDX-License-Identifier: GPL-2.0-only
// The table of accept(2) errors and the spare descriptor. Called by UringLoop on its thread.
// Does not log and does not wait.
#include "io/accept_policy.hpp"

#include <fcntl.h>

#include <cerrno>

namespace nfr::io {

AcceptVerdict judge_accept_error(int error) {
  switch (error) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET: return AcceptVerdict::kAgain;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return AcceptVerdict::kPause;
    default: return AcceptVerdict::kEnd;
  }
}

bool SpareDescriptor::retake() {
  if (!spare_.valid()) spare_.reset(::fcntl(of_, F_DUPFD_CLOEXEC, 0));
  return spare_.valid();
}

}  // namespace nfr::io
