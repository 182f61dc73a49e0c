// SPDX-License-Identifier: GPL-2.0-only
// The PROXY protocol's header, versions 1 and 2 (haproxy doc/proxy-protocol.txt), as an agent sends it to a target
// before the visitor's first byte. Pure functions, any thread. Headers are written, never read: visitors cannot send
// one that counts.
#pragma once

#include <string>

#include "core/nouns.hpp"

namespace nfr::proto {

/// A TCP connection of `visitor` to `local`, the public endpoint it dialled. Empty for kNone.
std::string encode_proxy_header(core::ProxyHeader version, const net::Endpoint& visitor, const net::Endpoint& local);

/// For a connection of the agent's own, such as a check: LOCAL (v2) or UNKNOWN (v1). Empty for kNone.
std::string encode_proxy_local(core::ProxyHeader version);

}  // namespace nfr::proto
