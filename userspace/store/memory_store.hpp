// SPDX-License-Identifier: GPL-2.0-only
// MemoryStore: the reference StateStore, without a disk. The simulator and tests of control use it and inject
// failures; one conformance suite holds it and SqliteStore to the same behaviour. One thread at a time.
#pragma once

#include <map>
#include <optional>

#include "core/seams.hpp"

namespace nfr::store {

class MemoryStore final : public core::StateStore {
 public:
  Result<State> load() override;
  Result<core::AgentId> put_agent(const core::AgentRecord& record) override;
  Status remove_agent(core::AgentId id) override;
  Result<core::MappingId> put_mapping(const core::Mapping& mapping) override;
  Status remove_mapping(core::MappingId id) override;
  Result<std::vector<core::MappingId>> change_mappings(const std::vector<core::MappingId>& remove,
                                                       const std::vector<core::Mapping>& put) override;
  Status remember_port(const core::PortMemory& memory) override;

  /// The next call of any of the above fails with this error and changes nothing; the one after works again.
  void fail_next(Error error) { next_failure_ = std::move(error); }

 private:
  std::optional<Error> take_failure();

  std::map<core::AgentId, core::AgentRecord> agents_;
  std::map<core::MappingId, core::Mapping> mappings_;
  std::vector<core::PortMemory> memories_;
  std::uint64_t last_agent_id_ = 0;
  std::uint64_t last_mapping_id_ = 0;
  std::optional<Error> next_failure_;
};

}  // namespace nfr::store
