// SPDX-License-Identifier: GPL-2.0-only
#include "store/memory_store.hpp"

#include <utility>

#include "store/record_rules.hpp"

namespace nfr::store {

std::optional<Error> MemoryStore::take_failure() { return std::exchange(next_failure_, std::nullopt); }

Result<core::StateStore::State> MemoryStore::load() {
  if (auto failure = take_failure()) return *failure;
  State state;
  for (const auto& [id, agent] : agents_) state.agents.push_back(agent);
  for (const auto& [id, mapping] : mappings_) state.mappings.push_back(mapping);
  state.memories = memories_;
  return state;
}

Result<core::AgentId> MemoryStore::put_agent(const core::AgentRecord& record) {
  if (auto failure = take_failure()) return *failure;
  if (auto status = check_storable(record); !status) return status.error();
  if (record.id && !agents_.contains(record.id)) return no_such_agent(record.id);
  for (const auto& [id, other] : agents_) {
    if (other.name == record.name && id != record.id) return agent_exists(record.name);
  }
  core::AgentRecord kept = record;
  if (!kept.id) kept.id.value = ++last_agent_id_;
  kept.token_expires = stored_time(kept.token_expires);
  kept.created = stored_time(kept.created);
  agents_.insert_or_assign(kept.id, kept);
  return kept.id;
}

Status MemoryStore::remove_agent(core::AgentId id) {
  if (auto failure = take_failure()) return *failure;
  if (agents_.erase(id) == 0) return no_such_agent(id);
  std::erase_if(mappings_, [id](const auto& entry) { return entry.second.agent == id; });
  std::erase_if(memories_, [id](const auto& memory) { return memory.agent == id; });
  return {};
}

Result<core::MappingId> MemoryStore::put_mapping(const core::Mapping& mapping) {
  if (auto failure = take_failure()) return *failure;
  if (auto status = check_storable(mapping); !status) return status.error();
  if (mapping.id && !mappings_.contains(mapping.id)) return no_such_mapping(mapping.id);
  for (const auto& [id, other] : mappings_) {
    if (other.public_ports == mapping.public_ports && id != mapping.id) {
      return mapping_exists(mapping.public_ports);
    }
  }
  if (!agents_.contains(mapping.agent)) return no_such_agent(mapping.agent);
  core::Mapping kept = mapping;
  if (!kept.id) kept.id.value = ++last_mapping_id_;
  kept.created = stored_time(kept.created);
  if (kept.expires) kept.expires = stored_time(*kept.expires);
  mappings_.insert_or_assign(kept.id, kept);
  return kept.id;
}

Status MemoryStore::remove_mapping(core::MappingId id) {
  if (auto failure = take_failure()) return *failure;
  if (mappings_.erase(id) == 0) return no_such_mapping(id);
  return {};
}

Result<std::vector<core::MappingId>> MemoryStore::change_mappings(const std::vector<core::MappingId>& remove,
                                                                  const std::vector<core::Mapping>& put) {
  if (auto failure = take_failure()) return *failure;
  MemoryStore changed = *this;
  std::vector<core::MappingId> ids;
  for (const core::MappingId id : remove) {
    if (auto status = changed.remove_mapping(id); !status) return status.error();
  }
  for (const core::Mapping& mapping : put) {
    const auto id = changed.put_mapping(mapping);
    if (!id) return id.error();
    ids.push_back(*id);
  }
  *this = std::move(changed);
  return ids;
}

Status MemoryStore::remember_port(const core::PortMemory& memory) {
  if (auto failure = take_failure()) return *failure;
  if (auto status = check_storable(memory); !status) return status;
  if (!agents_.contains(memory.agent)) return no_such_agent(memory.agent);
  std::erase_if(memories_, [&](const auto& old) { return old.agent == memory.agent && old.target == memory.target; });
  memories_.push_back(memory);
  return {};
}

}  // namespace nfr::store
