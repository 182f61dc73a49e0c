// SPDX-License-Identifier: GPL-2.0-only
// The two addresses of a TCP socket.
#pragma once

#include <optional>

#include "net/address.hpp"

namespace nfr::net {

/// getsockname(2) and getpeername(2); nothing where the call fails, as of a connection that is gone.
std::optional<Endpoint> local_name(int socket);
std::optional<Endpoint> peer_name(int socket);

}  // namespace nfr::net
