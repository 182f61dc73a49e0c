// SPDX-License-Identifier: GPL-2.0-only
// Rows of the relay's tables to records and back: the one place that knows the order of columns. Used by SqliteStore.
// Addresses, targets and lists are stored as text, times as unix milliseconds.
#pragma once

#include "core/nouns.hpp"
#include "store/statement.hpp"

namespace nfr::store {

inline constexpr const char* kInsertAgent =
    "INSERT INTO agents (name, key, token_hash, token_expires_ms, revoked, ports, automatic, mappings_max, flows_max, "
    "created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
inline constexpr const char* kUpdateAgent =
    "UPDATE agents SET name = ?, key = ?, token_hash = ?, token_expires_ms = ?, revoked = ?, ports = ?, automatic = ?, "
    "mappings_max = ?, flows_max = ?, created_ms = ? WHERE id = ?";
inline constexpr const char* kSelectAgents =
    "SELECT id, name, key, token_hash, token_expires_ms, revoked, ports, automatic, mappings_max, flows_max, "
    "created_ms FROM agents ORDER BY id";
inline constexpr const char* kInsertMapping =
    "INSERT INTO mappings (public, agent, target, leg, idle_timeout_ms, proxy, allow, deny, flows_max, "
    "flows_per_source_max, rate_per_source, origin, automatic, expires_ms, created_ms) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
inline constexpr const char* kUpdateMapping =
    "UPDATE mappings SET public = ?, agent = ?, target = ?, leg = ?, idle_timeout_ms = ?, proxy = ?, allow = ?, "
    "deny = ?, flows_max = ?, flows_per_source_max = ?, rate_per_source = ?, origin = ?, automatic = ?, "
    "expires_ms = ?, created_ms = ? WHERE id = ?";
inline constexpr const char* kSelectMappings =
    "SELECT id, public, agent, target, leg, idle_timeout_ms, proxy, allow, deny, flows_max, flows_per_source_max, "
    "rate_per_source, origin, automatic, expires_ms, created_ms FROM mappings ORDER BY id";
inline constexpr const char* kSelectMemories = "SELECT agent, target, port FROM port_memories ORDER BY id";

/// In the order of the INSERT and UPDATE above; a record with an id binds it last.
void bind_agent(Statement& statement, const core::AgentRecord& record);
void bind_mapping(Statement& statement, const core::Mapping& mapping);

/// From a row of the SELECT above. kInvalid when a text cannot be read.
Result<core::AgentRecord> read_agent(const Statement& row);
Result<core::Mapping> read_mapping(const Statement& row);
core::PortMemory read_memory(const Statement& row);

}  // namespace nfr::store
