// SPDX-License-Identifier: GPL-2.0-only
// The table of accept(2) errors and the spare descriptor. Called by both back ends on their thread.
// Does not wait.
#include "io/accept_policy.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <system_error>

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

void log_accept_pause(int error) {
  spdlog::warn(
      "accepting pauses: {}; new connections wait in the listen queue. Raise LimitNOFILE or lower the "
      "connection limits",
      std::generic_category().message(error));
}

bool SpareDescriptor::retake() {
  if (!spare_.valid()) spare_.reset(::fcntl(of_, F_DUPFD_CLOEXEC, 0));
  return spare_.valid();
}

}  // namespace nfr::io
