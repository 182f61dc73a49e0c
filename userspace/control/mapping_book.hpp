// SPDX-License-Identifier: GPL-2.0-only
// Which public endpoint leads where, and whether its ports are open. Policy of the relay, on the control thread.
// A port belongs to an agent's identity: it survives crashes of either side, and another agent that asks for it is
// told whose it is. Knows no session and no flow.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/agent_book.hpp"
#include "control/port_chooser.hpp"
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
    std::string port_fault;  ///< why its ports are not open; empty when they are
    bool opening = false;
    MappingTotals ended;
  };

  MappingBook(core::StateStore& store, core::Ports& ports, AgentBook& agents, Clock& clock)
      : store_(store), ports_(ports), agents_(agents), clock_(clock) {}

  /// Takes over what was stored and opens every port; ports that cannot be opened are retried by tick().
  void load(const core::StateStore::State& state);
  /// Retries ports; removes what has expired, after telling `on_expired`.
  void tick();
  std::function<void(const core::Mapping&)> on_expired;

  /// What was asked for; the id and the time of creation are given here, a port too where it is automatic.
  struct Request {
    std::string agent;
    core::Mapping mapping;
  };
  using Done = std::function<void(Result<core::Mapping>)>;
  /// Opens the ports, then stores the mapping, then `done`. An unchanged repetition succeeds; the same agent may move
  /// its endpoint to another target.
  void add(const Request& request, const Done& done);
  Result<core::Mapping> remove(const core::PublicPorts& ports);
  Result<core::Mapping> set_admission(const core::PublicPorts& ports, core::Admission admission);
  void drop_agent(core::AgentId agent);  ///< after the agent was removed from the store

  /// The mapping without id and port as it would be made; kInvalid, kNotFound.
  Result<core::Mapping> complete(const Request& request) const;
  /// All or nothing: removes, then replaces (with an id) and adds (without one). A mapping that keeps its ports keeps
  /// its listeners and its flows.
  void change(const std::vector<core::MappingId>& remove, std::vector<core::Mapping> put,
              std::function<void(Status)> done);

  const Entry* find(core::MappingId id) const;
  const Entry* find(const core::PublicPorts& ports) const;
  /// By its exact ports; else kNotFound that names the range a port is part of.
  Result<core::MappingId> need(const core::PublicPorts& ports) const;
  const std::map<core::MappingId, Entry>& all() const { return entries_; }
  std::size_t count_of(core::AgentId agent) const;
  std::size_t count_of(core::AgentId agent, core::Origin origin) const;
  void fold(core::MappingId id, std::uint64_t in_bytes, std::uint64_t out_bytes);

 private:
  struct Change;
  Status choose_port(core::Mapping& mapping, const std::vector<core::Mapping>& beside) const;
  void open_added(const std::shared_ptr<Change>& change);
  void note_failure(Change& change, core::MappingId id, const Error& error);
  std::vector<core::Mapping> what_was(const Change& change) const;
  void take_back(Change& change);
  void open_ports(core::MappingId id);
  void add_at(core::Mapping mapping, const Done& done);
  void add_automatic(core::Mapping mapping, unsigned attempts_left, const Done& done);
  void finish_add(const core::Mapping& mapping, const Status& opened, const Done& done);
  void replace(Entry& entry, core::Mapping mapping, const Done& done);
  const Entry* automatic_of(core::AgentId agent, const core::Target& target) const;
  const Entry* overlapping(const core::PublicPorts& ports) const;
  Error belongs_to(const Entry& entry) const;
  void expire(core::MappingId id);
  /// Tells whoever waits for the mapping's ports; every outcome of Ports::open goes through here.
  void tell_waiting(core::MappingId id, const Status& opened);
  void remember(const core::Mapping& automatic);

  core::StateStore& store_;
  core::Ports& ports_;
  AgentBook& agents_;
  Clock& clock_;
  std::map<core::MappingId, Entry> entries_;
  std::multimap<core::MappingId, std::function<void(const Status&)>> waiting_;  ///< for ports being opened
  std::vector<core::MappingId> leftovers_;  ///< gone from here, but the store could not be written: tried again
  PortChooser chooser_;
  Instant next_retry_{};
};

}  // namespace nfr::control
