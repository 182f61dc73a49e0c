// SPDX-License-Identifier: GPL-2.0-only
// `nfagent expose` as the person sees it: asks the running agent for a mapping, prints what happens to it and who
// visits, and takes it back on SIGINT or SIGTERM. A process of its own, one thread, blocking.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "admin/client.hpp"
#include "agent/options.hpp"
#include "base/fd.hpp"

namespace nfr::agent {

/// Exit code: 0 after a signal, 1 refused or the agent ended, 2 bad arguments, 3 no agent, 4 not permitted.
int run_expose(const Options& options);

/// The agent to talk to: the one of these directories, else the service's where none was named.
Result<admin::Client> connect_to_agent(const Options& options);
/// The exit code that goes with an error on the way to the agent, after printing it.
int fail_to_reach(const Error& error);

/// One event as a line for people, empty for one that this version does not know. `target`: as it was asked for.
std::string event_line(const nlohmann::json& event, const std::string& target, bool automatic);

}  // namespace nfr::agent
