// SPDX-License-Identifier: GPL-2.0-only
#include "store/sqlite_store.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "store/migrations.hpp"
#include "store/record_rules.hpp"
#include "store/rows.hpp"

namespace nfr::store {
namespace {

// A memory is worth keeping as long as its agent may come back; nobody needs an endless list of them.
constexpr const char* kTrimMemories =
    "DELETE FROM port_memories WHERE id <= (SELECT max(id) FROM port_memories) - 4096";

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
  auto rows = database_.prepare(kSelectMemories);
  if (!rows) return rows.error();
  while (true) {
    const auto row = rows->step();
    if (!row) return row.error();
    if (!*row) return state;
    state.memories.push_back(read_memory(*rows));
  }
}

Status SqliteStore::load_agents(State& state) {
  auto rows = database_.prepare(kSelectAgents);
  if (!rows) return rows.error();
  while (true) {
    const auto row = rows->step();
    if (!row) return row.error();
    if (!*row) return {};
    auto record = read_agent(*rows);
    Status status = record ? check_storable(*record) : record.error();
    if (!status) {
      return status.error().context(fmt::format("state database {}: agent {}", database_.path(), rows->integer(0)));
    }
    state.agents.push_back(std::move(*record));
  }
}

Status SqliteStore::load_mappings(State& state) {
  auto rows = database_.prepare(kSelectMappings);
  if (!rows) return rows.error();
  while (true) {
    const auto row = rows->step();
    if (!row) return row.error();
    if (!*row) return {};
    auto mapping = read_mapping(*rows);
    if (!mapping) {
      return mapping.error().context(fmt::format("state database {}: mapping {}", database_.path(), rows->integer(0)));
    }
    state.mappings.push_back(std::move(*mapping));
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
    if (status.error().code() == Code::kExists) return mapping_exists(mapping.public_ports);
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

Result<std::vector<core::MappingId>> SqliteStore::change_mappings(const std::vector<core::MappingId>& remove,
                                                                  const std::vector<core::Mapping>& put) {
  if (auto status = database_.execute("BEGIN IMMEDIATE"); !status) return status.error();
  auto ids = change_inside(remove, put);
  Status status = ids ? database_.execute("COMMIT") : ids.error();
  if (status) return ids;
  // Some failures (a full disk) have rolled back already; then this one has nothing to do and says so.
  (void)database_.execute("ROLLBACK");
  return status.error();
}

Result<std::vector<core::MappingId>> SqliteStore::change_inside(const std::vector<core::MappingId>& remove,
                                                                const std::vector<core::Mapping>& put) {
  for (const core::MappingId id : remove) {
    if (auto status = remove_mapping(id); !status) return status.error();
  }
  std::vector<core::MappingId> ids;
  for (const core::Mapping& mapping : put) {
    const auto id = put_mapping(mapping);
    if (!id) return id.error();
    ids.push_back(*id);
  }
  return ids;
}

Status SqliteStore::remember_port(const core::PortMemory& memory) {
  if (auto status = check_storable(memory); !status) return status;
  auto statement = database_.prepare("INSERT OR REPLACE INTO port_memories (agent, target, port) VALUES (?, ?, ?)");
  if (!statement) return statement.error();
  statement->bind(static_cast<std::int64_t>(memory.agent.value)).bind(std::string_view(memory.target));
  statement->bind(std::int64_t{memory.port.value});
  if (auto status = statement->run(); !status) {
    return status.error().code() == Code::kNotFound ? no_such_agent(memory.agent) : status.error();
  }
  return database_.execute(kTrimMemories);
}

}  // namespace nfr::store
