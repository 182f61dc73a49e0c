// SPDX-License-Identifier: GPL-2.0-only
// Unix stream sockets by path: listening for a daemon, connecting for its command line. Blocking calls at start-up
// and in nfctl only; never on a thread that forwards.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/clock.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

namespace nfr::admin {

/// Listens at `path`, non-blocking and close-on-exec. A socket file that nobody listens on any more is replaced;
/// kExists when somebody does. The file never has more rights than `mode`; `group` other than -1 becomes its group.
Result<Fd> listen_unix(const std::string& path, mode_t mode, gid_t group = static_cast<gid_t>(-1));

/// Connects; the descriptor is non-blocking afterwards. os_errno() of the error says why not; kTimeout when the
/// listener's queue stays full.
Result<Fd> connect_unix(const std::string& path, Millis timeout);

}  // namespace nfr::admin
