// SPDX-License-Identifier: GPL-2.0-only
// --watch: the same question again and again. Called by app.cpp; showing and waiting are the environment's.
#pragma once

#include <functional>
#include <string>

#include "nfctl/app.hpp"

namespace nfr::nfctl {

/// The value of --watch: 1 to 3600, 2 when none is given; kInvalid.
Result<std::uint64_t> watch_seconds(const Arguments& arguments);

/// Redraws on a terminal; in a pipe blocks follow each other with an empty line between. A failure at first is the
/// outcome; later ones are shown, and it goes on: a relay that restarts comes back. Ends well when the environment's
/// wait() says so.
Outcome watch(const std::string& command, std::uint64_t seconds, const std::function<Outcome(const Environment&)>& once,
              const Environment& environment);

}  // namespace nfr::nfctl
