// SPDX-License-Identifier: GPL-2.0-only
// Who listens on a TCP port: /proc/net/tcp{,6} gives the socket's inode and user, /proc/*/fd the process. Called
// by the listener table after a bind was refused. Reading the descriptors of other users' processes needs rights
// the holder gives up (CAP_SYS_PTRACE); then the owner is told by user name.
#pragma once

#include <string>
#include <string_view>

#include "net/address.hpp"

namespace nfr::holder {

/// "nginx (pid 812)", "a program of user www-data", or empty when nothing that listens was found. Escaped, at most
/// 63 bytes. `endpoint` matches listeners on the same port whose address is equal or one of both a wildcard.
std::string port_owner(const net::Endpoint& endpoint, std::string_view proc = "/proc");

}  // namespace nfr::holder
