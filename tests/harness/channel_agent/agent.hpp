// SPDX-License-Identifier: GPL-2.0-only
// An agent of protocol version 1 that dials no target: each channel's socket, once START has come and READY is sent,
// goes to the server of the load that stands for the target's port. So the relay is measured without a second proxy
// behind it. One thread, one channel after the other; leg plain only. Errors are exceptions, as in wire_v1.
#pragma once

#include <map>
#include <string>

#include "channel_agent/handover.hpp"

namespace channel_agent {

/// By the port of a mapping's target.
using Servers = std::map<std::string, Handover>;

/// Joins, prints "ready", serves until the relay says goodbye; throws if the session ends in another way.
void run_agent(const std::string& join_line, const Servers& servers);

}  // namespace channel_agent
