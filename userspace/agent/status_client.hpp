// SPDX-License-Identifier: GPL-2.0-only
// `nfagent status`: asks the running agent and prints its answer for people or as it is. One thread, blocking.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "agent/options.hpp"

namespace nfr::agent {

/// Exit code: 0, 1 the agent refused, 3 no agent, 4 not permitted.
int run_status(const Options& options);

std::string status_text(const nlohmann::json& status);

}  // namespace nfr::agent
