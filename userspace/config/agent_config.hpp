// SPDX-License-Identifier: GPL-2.0-only
// AgentConfig: everything agent.toml can say, validated. Read once at start by nfagent and not changed afterwards.
// Each member is a key of the same name, with its default here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/io_choice.hpp"
#include "base/result.hpp"
#include "config/directories.hpp"
#include "config/proxy_server.hpp"
#include "core/allow_list.hpp"
#include "core/nouns.hpp"

namespace nfr::config {

/// One [[mapping]] table: a lasting mapping that the agent asks the relay for at every login.
struct MappingTable {
  core::PublicPorts ports;  ///< key public: "8888", a range, "auto"
  core::Target target;      ///< as many ports as `ports`; one for "auto"
  std::optional<core::Leg> leg;
  core::ProxyHeader proxy = core::ProxyHeader::kNone;
  bool operator==(const MappingTable&) const = default;
};

/// Tables one file may have: as many as one agent may declare (NFR_WISHES_MAX).
inline constexpr std::size_t kMappingsMax = 64;

struct AgentConfig {
  core::AllowList allow_targets;          ///< absent: this machine only; `[]`: nothing
  core::Leg leg_min = core::Leg::kPlain;  ///< tls: plain channels are refused
  Millis reconnect_min{200};              ///< key reconnect_min_ms, 10..600000, at most reconnect_max
  Millis reconnect_max{15'000};           ///< key reconnect_max_ms, 10..600000
  IoChoice io = IoChoice::kAuto;          ///< key io
  std::optional<ProxyServer> proxy;       ///< key proxy: http://[USER:PASSWORD@]HOST:PORT
  bool proxy_none = false;                ///< proxy = "none": the environment's is not used either
  std::vector<MappingTable> mappings;     ///< tables [[mapping]]
  PathKeys paths;
};

/// `file` is the name used in errors. kInvalid names file, line, key, value and what was expected.
Result<AgentConfig> parse_agent_config(std::string_view text, const std::string& file);
Result<AgentConfig> load_agent_config(const ConfigFile& file);

}  // namespace nfr::config
