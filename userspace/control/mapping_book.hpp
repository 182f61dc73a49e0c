// SPDX-License-Identifier: GPL-2.0-only
// Which public endpoint leads where, and whether its port is open. Policy of the relay, on the control thread.
// A port belongs to an agent's identity: it survives crashes of either side, and another agent that asks for it is
// told whose it is. Knows no session and no flow.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "control/agent_book.hpp"
#include "core/nouns.hpp"
#include "core/seams.hpp"

namespace nfr::control {

/// Totals of a mapping, folded from flows that ended.
struct MappingTotals {
  std::uint64_t flows = 0;
  std::uint64_t in_bytes = 0;
  std::uint64_t out_bytes = 0;
};

class MappingBook {
 public:
  struct Entry {
    core::Mapping mapping;
    std::string port_fault;  ///< why the port is not open; empty when it is
    bool opening = false;
    MappingTotals ended;
  };

  MappingBook(core::StateStore& store, core::Ports& ports, AgentBook& agents, Clock& clock)
      : store_(store), ports_(ports), agents_(agents), clock_(clock) {}

  /// Takes over what was stored and opens every port; a port that cannot be opened is retried by tick().
  void load(const std::vector<core::Mapping>& mappings);
  void tick();

  /// What the operator asked for.
  struct Request {
    net::Endpoint public_endpoint;
    std::string agent;
    core::Target target;
    std::optional<core::Leg> leg;
    Millis idle_timeout{0};
  };
  /// Opens the port, then stores the mapping, then `done`. An unchanged repetition succeeds; the same agent may move
  /// its endpoint to another target.
  void add(const Request& request, std::function<void(Result<core::Mapping>)> done);
  Result<core::Mapping> remove(const net::Endpoint& public_endpoint);
  void drop_agent(core::AgentId agent);  ///< after the agent was removed from the store

  const Entry* find(core::MappingId id) const;
  const Entry* find(const net::Endpoint& public_endpoint) const;
  const std::map<core::MappingId, Entry>& all() const { return entries_; }
  std::size_t count_of(core::AgentId agent) const;
  void fold(core::MappingId id, std::uint64_t in_bytes, std::uint64_t out_bytes);

 private:
  Entry* find_mutable(const net::Endpoint& public_endpoint);
  void open_port(core::MappingId id);
  void finish_add(core::Mapping mapping, const Status& opened, const std::function<void(Result<core::Mapping>)>& done);
  void replace(Entry& entry, core::Mapping mapping, const std::function<void(Result<core::Mapping>)>& done);

  core::StateStore& store_;
  core::Ports& ports_;
  AgentBook& agents_;
  Clock& clock_;
  std::map<core::MappingId, Entry> entries_;
  Instant next_retry_{};
};

}  // namespace nfr::control
