// SPDX-License-Identifier: GPL-2.0-only
// SqliteStore: the relay's durable state in one SQLite file (used by the control thread; opened at start). A mutation
// that returned ok survives kill -9 and power loss; one that failed changed nothing, and the relay goes on relaying.
#pragma once

#include <memory>
#include <string>

#include "core/seams.hpp"
#include "store/database.hpp"

namespace nfr::store {

class SqliteStore final : public core::StateStore {
 public:
  /// Opens or creates the file (0600), verifies it and brings its schema to this program's version. Errors name the
  /// path, the reason and what to do.
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& path);

  Result<State> load() override;
  Result<core::AgentId> put_agent(const core::AgentRecord& record) override;
  Status remove_agent(core::AgentId id) override;
  Result<core::MappingId> put_mapping(const core::Mapping& mapping) override;
  Status remove_mapping(core::MappingId id) override;
  Result<std::vector<core::MappingId>> change_mappings(const std::vector<core::MappingId>& remove,
                                                       const std::vector<core::Mapping>& put) override;
  Status remember_port(const core::PortMemory& memory) override;

 private:
  explicit SqliteStore(Database database) : database_(std::move(database)) {}
  Status load_agents(State& state);
  Status load_mappings(State& state);
  Result<std::vector<core::MappingId>> change_inside(const std::vector<core::MappingId>& remove,
                                                     const std::vector<core::Mapping>& put);

  Database database_;
};

}  // namespace nfr::store
