// SPDX-License-Identifier: GPL-2.0-only
// One packet with descriptors over a unix socket (SCM_RIGHTS), for both ends of the holder's socketpair. Never waits.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace nfr::holder {

/// 0, or the errno: EAGAIN when the peer's queue is full. The descriptors stay with the caller; at most
/// kSocketCountMax. No SIGPIPE.
int send_with_fds(int socket, std::span<const std::byte> packet, std::span<const int> fds);

struct ReceivedPacket {
  std::size_t bytes = 0;  ///< 0 at the end of the stream
  std::vector<Fd> fds;    ///< close-on-exec
  bool cut = false;       ///< descriptors or bytes did not fit: the descriptor limit, or a foreign packet
};

/// Into `packet`. kUnavailable when nothing is there now, kSystem otherwise.
Result<ReceivedPacket> receive_with_fds(int socket, std::span<std::byte> packet);

}  // namespace nfr::holder
