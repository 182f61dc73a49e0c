// SPDX-License-Identifier: GPL-2.0-only
#include "store/sqlite_store.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "store/migrations.hpp"
#include "store/record_rules.hpp"

namespace nfr::store {
namespace {

constexpr const char* kInsertAgent =
    "INSERT INTO agents (name, key, token_hash, token_expires_ms, revoked, created_ms) VALUES (?, ?, ?, ?, ?, ?)";
constexpr const char* kUpdateAgent =
    "UPDATE agents SET name = ?, key = ?, token_hash = ?, token_expires_ms = ?, revoked = ?, created_ms = ? "
    "WHERE id = ?";
constexpr const char* kSelectAgents =
    "SELECT id, name, key, token_hash, token_expires_ms, revoked, created_ms FROM agents ORDER BY id";
constexpr const char* kInsertMapping =
    "INSERT INTO mappings (public_endpoint, agent, target, leg, idle_timeout_ms, created_ms) VALUES (?, ?, ?, ?, ?, ?)";
constexpr const char* kUpdateMapping =
    "UPDATE mappings SET public_endpoint = ?, agent = ?, target = ?, leg = ?, idle_timeout_ms = ?, created_ms = ? "
    "WHERE id = ?";
constexpr const char* kSelectMappings =
    "SELECT id, public_endpoint, agent, target, leg, idle_timeout_ms, created_ms FROM mappings ORDER BY id";

std::int64_t to_unix_ms(WallTime time) { return std::chrono::floor<Millis>(time).time_since_epoch().count(); }

/// Clamped to what WallTime holds (the year 2262), so that no value in the file can overflow.
WallTime from_unix_ms(std::int64_t unix_ms) {
  constexpr std::int64_t kMaxMs = std::chrono::duration_cast<Millis>(WallTime::duration::max()).count();
  return WallTime(Millis(std::clamp(unix_ms, -kMaxMs, kMaxMs)));
}

void bind_digest(Statement& statement, const std::optional<core::Digest>& digest) {
  if (digest) {
    statement.bind(std::span<const std::byte>(*digest));
  } else {
    statement.bind_null();
  }
}

std::optional<core::Digest> read_digest(const Statement& row, int column) {
  const auto blob = row.blob(column);
  core::Digest digest{};
  if (blob.size() != digest.size()) return std::nullopt;  // NULL; any other size is refused by a CHECK
  std::copy(blob.begin(), blob.end(), digest.begin());
  return digest;
}

void bind_agent(Statement& statement, const core::AgentRecord& record) {
  statement.bind(std::string_view(record.name));
  bind_digest(statement, record.key);
  bind_digest(statement, record.token_hash);
  statement.bind(to_unix_ms(record.token_expires));
  statement.bind(std::int64_t{record.revoked});
  statement.bind(to_unix_ms(record.created));
  if (record.id) statement.bind(static_cast<std::int64_t>(record.id.value));
}

void bind_mapping(Statement& statement, const core::Mapping& mapping) {
  const std::string endpoint = mapping.public_endpoint.text();
  const std::string target = mapping.target.text();
  statement.bind(std::string_view(endpoint));
  statement.bind(static_cast<std::int64_t>(mapping.agent.value));
  statement.bind(std::string_view(target));
  if (mapping.leg) {
    statement.bind(core::leg_name(*mapping.leg));
  } else {
    statement.bind_null();
  }
  statement.bind(std::int64_t{mapping.idle_timeout.count()});
  statement.bind(to_unix_ms(mapping.created));
  if (mapping.id) statement.bind(static_cast<std::int64_t>(mapping.id.value));
}

Result<core::Mapping> read_mapping(const Statement& row) {
  const auto endpoint = net::Endpoint::parse(row.text(1));
  if (!endpoint) return endpoint.error().context("public endpoint");
  const auto target = core::Target::parse(row.text(3));
  if (!target) return target.error();
  core::Mapping mapping;
  mapping.id.value = static_cast<std::uint64_t>(row.integer(0));
  mapping.public_endpoint = *endpoint;
  mapping.agent.value = static_cast<std::uint64_t>(row.integer(2));
  mapping.target = *target;
  if (!row.is_null(4)) mapping.leg = row.text(4) == "tls" ? core::Leg::kTls : core::Leg::kPlain;
  mapping.idle_timeout = Millis(row.integer(5));
  mapping.created = from_unix_ms(row.integer(6));
  return mapping;
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path) {
  auto database = Database::open(path);
  if (!database) return database.error();
  if (auto status = migrate(*database, schema_steps()); !status) return status.error();
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(*database)));
}

Result<core::StateStore::State> SqliteStore::load() {
  State state;
  if (auto status = load_agents(state); !status) return status.error();
  if (auto status = load_mappings(state); !status) return status.error();
  return state;
}

Status SqliteStore::load_agents(State& state) {
  auto rows = database_.prepare(kSelectAgents);
  if (!rows) return rows.error();
  while (true) {
    const auto row = rows->step();
    if (!row) return row.error();
    if (!*row) return {};
    core::AgentRecord record;
    record.id.value = static_cast<std::uint64_t>(rows->integer(0));
    record.name = rows->text(1);
    record.key = read_digest(*rows, 2);
    record.token_hash = read_digest(*rows, 3);
    record.token_expires = from_unix_ms(rows->integer(4));
    record.revoked = rows->integer(5) != 0;
    record.created = from_unix_ms(rows->integer(6));
    if (auto status = check_storable(record); !status) {
      return status.error().context(fmt::format("state database {}: agent {}", database_.path(), record.id.value));
    }
    state.agents.push_back(std::move(record));
  }
}

Status SqliteStore::load_mappings(State& state) {
  auto rows = database_.prepare(kSelectMappings);
  if (!rows) return rows.error();
  while (true) {
    const auto row = rows->step();
    if (!row) return row.error();
    if (!*row) return {};
    const auto mapping = read_mapping(*rows);
    if (!mapping) {
      return mapping.error().context(fmt::format("state database {}: mapping {}", database_.path(), rows->integer(0)));
    }
    state.mappings.push_back(*mapping);
  }
}

Result<core::AgentId> SqliteStore::put_agent(const core::AgentRecord& record) {
  if (auto status = check_storable(record); !status) return status.error();
  auto statement = database_.prepare(record.id ? kUpdateAgent : kInsertAgent);
  if (!statement) return statement.error();
  bind_agent(*statement, record);
  if (auto status = statement->run(); !status) {
    if (status.error().code() == Code::kExists) return agent_exists(record.name);
    return status.error();
  }
  if (!record.id) return core::AgentId{static_cast<std::uint64_t>(database_.last_insert_id())};
  if (database_.changed_rows() == 0) return no_such_agent(record.id);
  return record.id;
}

Status SqliteStore::remove_agent(core::AgentId id) {
  auto statement = database_.prepare("DELETE FROM agents WHERE id = ?");
  if (!statement) return statement.error();
  if (auto status = statement->bind(static_cast<std::int64_t>(id.value)).run(); !status) return status;
  if (database_.changed_rows() == 0) return no_such_agent(id);
  return {};
}

Result<core::MappingId> SqliteStore::put_mapping(const core::Mapping& mapping) {
  if (auto status = check_storable(mapping); !status) return status.error();
  auto statement = database_.prepare(mapping.id ? kUpdateMapping : kInsertMapping);
  if (!statement) return statement.error();
  bind_mapping(*statement, mapping);
  if (auto status = statement->run(); !status) {
    if (status.error().code() == Code::kExists) return mapping_exists(mapping.public_endpoint);
    if (status.error().code() == Code::kNotFound) return no_such_agent(mapping.agent);
    return status.error();
  }
  if (!mapping.id) return core::MappingId{static_cast<std::uint64_t>(database_.last_insert_id())};
  if (database_.changed_rows() == 0) return no_such_mapping(mapping.id);
  return mapping.id;
}

Status SqliteStore::remove_mapping(core::MappingId id) {
  auto statement = database_.prepare("DELETE FROM mappings WHERE id = ?");
  if (!statement) return statement.error();
  if (auto status = statement->bind(static_cast<std::int64_t>(id.value)).run(); !status) return status;
  if (database_.changed_rows() == 0) return no_such_mapping(id);
  return {};
}

}  // namespace nfr::store
