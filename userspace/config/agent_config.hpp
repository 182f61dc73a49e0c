// SPDX-License-Identifier: GPL-2.0-only
// AgentConfig: everything agent.toml can say, validated. Read once at start by nfagent and not changed afterwards.
// Each member is a key of the same name, with its default here.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "config/directories.hpp"
#include "core/allow_list.hpp"
#include "core/nouns.hpp"

namespace nfr::config {

struct AgentConfig {
  core::AllowList allow_targets;          ///< absent: this machine only; `[]`: nothing
  core::Leg leg_min = core::Leg::kPlain;  ///< tls: plain channels are refused
  Millis heartbeat{5000};                 ///< key heartbeat_ms, 100..60000
  Millis reconnect_min{200};              ///< key reconnect_min_ms, 10..600000, at most reconnect_max
  Millis reconnect_max{15'000};           ///< key reconnect_max_ms, 10..600000
  PathKeys paths;
};

/// `file` is the name used in errors. kInvalid names file, line, key, value and what was expected.
Result<AgentConfig> parse_agent_config(std::string_view text, const std::string& file);
Result<AgentConfig> load_agent_config(const ConfigFile& file);

}  // namespace nfr::config
