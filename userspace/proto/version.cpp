// SPDX-License-Identifier: GPL-2.0-only
// Agreement on a version. Called by the relay at hello and by the agent at welcome.
#include "proto/version.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nfr::proto {

std::string VersionRange::text() const {
  return oldest == newest ? fmt::format("{}", newest) : fmt::format("{} to {}", oldest, newest);
}

Result<std::uint32_t> agree_version(VersionRange agent, VersionRange relay) {
  const std::uint32_t version = std::min(agent.newest, relay.newest);
  if (agent.contains(version) && relay.contains(version)) return version;
  const char* older =
      agent.newest < relay.oldest ? "nfagent on the agent's machine" : "nfrelayd on the relay's machine";
  return Error(Code::kProtocol, fmt::format("no common protocol version: the agent speaks {}, the relay {}: upgrade {}",
                                            agent.text(), relay.text(), older));
}

}  // namespace nfr::proto
