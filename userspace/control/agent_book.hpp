// SPDX-License-Identifier: GPL-2.0-only
// Which agents exist and how they prove themselves: names, keys, one-time tokens. Policy of the relay, on the
// control thread; writes through the StateStore before anything else sees a change. Knows no session.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.hpp"
#include "core/nouns.hpp"
#include "core/seams.hpp"
#include "proto/join_line.hpp"

namespace nfr::control {

using Token = std::array<std::byte, proto::kJoinTokenBytes>;

class AgentBook {
 public:
  AgentBook(core::StateStore& store, core::Crypto& crypto, Clock& clock, Random& random)
      : store_(store), crypto_(crypto), clock_(clock), random_(random) {}

  void load(const std::vector<core::AgentRecord>& records);

  /// A fresh one-time token; only its hash is kept.
  struct Invitation {
    core::AgentRecord record;
    Token token;
  };
  Result<Invitation> add(std::string_view name);
  /// A new token for an agent that exists; lifts a revocation. A key already bound works until the new one joins.
  Result<Invitation> rejoin(std::string_view name);
  /// Forgets key and token; the name and its mappings stay.
  Result<core::AgentRecord> revoke(std::string_view name);
  Result<core::AgentRecord> remove(std::string_view name);
  Result<core::AgentRecord> set_rights(std::string_view name, core::Rights rights);
  /// Key, mappings and a running session stay with the agent.
  Result<core::AgentRecord> rename(std::string_view from, std::string_view to);

  /// Binds `key` to the agent `name` if `token` is its unused, unexpired one. Errors are for the agent's operator.
  Result<core::AgentRecord> enroll(std::string_view name, std::string_view token, const core::Pin& key);

  const core::AgentRecord* find(core::AgentId id) const;
  const core::AgentRecord* find(std::string_view name) const;
  const core::AgentRecord* find_key(const core::Pin& key) const;
  const std::map<core::AgentId, core::AgentRecord>& all() const { return agents_; }

 private:
  Result<core::AgentRecord> need(std::string_view name) const;
  Result<core::AgentRecord> keep(core::AgentRecord record, std::string_view what);
  Result<Invitation> invite(core::AgentRecord record);

  core::StateStore& store_;
  core::Crypto& crypto_;
  Clock& clock_;
  Random& random_;
  std::map<core::AgentId, core::AgentRecord> agents_;
};

}  // namespace nfr::control
