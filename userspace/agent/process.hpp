// SPDX-License-Identifier: GPL-2.0-only
// The agent's process whole: joins state, policy, relay link and flows on one loop, until a signal or a join line that
// is no good.
#pragma once

#include "agent/options.hpp"

namespace nfr::agent {

/// `join` and `run`. Exit code: 0 after a signal, 1 when the relay refused the join line, 78 when it cannot start.
int run_agent(const Options& options);

}  // namespace nfr::agent
