// SPDX-License-Identifier: GPL-2.0-only
// Asks this machine's firewall tools whether visitors reach a mapping, and words the answer. Called by app.cpp after
// `map` and `check`; the tools are run through the environment.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "nfctl/app.hpp"

namespace nfr::nfctl {

/// Lines for standard error: a warning, a note, or nothing. `talks`: says too that all is well or was not looked at.
std::string firewall_lines(const nlohmann::json& result, bool talks, const Environment& environment);

}  // namespace nfr::nfctl
