// SPDX-License-Identifier: GPL-2.0-only
// The two ends of protocol version 1 as programs of a test. Frozen: see codec.hpp. Events are JSON lines on standard
// output; a peer that breaks the protocol is an exception.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wire_v1/codec.hpp"

namespace wire_v1 {

struct AgentOptions {
  std::string join_line;
  std::vector<std::string> wishes;  ///< PUBLIC=TARGET, declared after login
  int version = 1;                  ///< what hello claims; the rest stays version 1
  int oldest = 0;                   ///< field `oldest` of hello where not 0: a newer agent that also speaks this one
};
/// Joins, then serves what the relay asks for until the relay ends the session.
void run_agent(const AgentOptions& options);

struct RelayOptions {
  std::string listen;
  std::string agent = "home";
  std::string target;  ///< an echo server, as the agent dials it
  std::size_t bytes = 1 << 20;
  bool refuse = false;  ///< any version: bye "version"
  int version = 1;      ///< what welcome says
};
/// Prints a join line; greets one agent, probes the target and echoes `bytes` through a channel of either leg.
void run_relay(const RelayOptions& options);

}  // namespace wire_v1
