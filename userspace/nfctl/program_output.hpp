// SPDX-License-Identifier: GPL-2.0-only
// Runs a program of the system and returns what it prints. Blocking; used by nfctl on its only thread, to ask the
// firewall's tools. No shell, a fixed PATH, a deadline, bounded output.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"

namespace nfr::nfctl {

/// Standard output; nothing when the program is not there, fails, prints too much or takes longer than `timeout`.
std::optional<std::string> program_output(const std::vector<std::string>& argv, Millis timeout);

}  // namespace nfr::nfctl
