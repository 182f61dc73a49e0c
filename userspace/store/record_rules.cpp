// SPDX-License-Identifier: GPL-2.0-only
#include "store/record_rules.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace nfr::store {

Status check_storable(const core::AgentRecord& record) {
  const auto name = core::parse_agent_name(record.name);
  if (!name) return name.error().context("storing an agent");
  return {};
}

Status check_storable(const core::Mapping& mapping) {
  const auto ports = core::PublicPorts::parse(mapping.public_ports.text());
  if (!ports) return ports.error().context("storing a mapping");
  if (ports->automatic()) return Error(Code::kInvalid, "storing a mapping: its public port has not been chosen");
  const auto target = core::Target::parse(mapping.target.text());
  if (!target) return target.error().context("storing a mapping");
  if (mapping.idle_timeout.count() < 0) {
    return Error(Code::kInvalid, fmt::format("storing a mapping: idle timeout {} ms is negative; 0 means never",
                                             mapping.idle_timeout.count()));
  }
  return {};
}

Status check_storable(const core::PortMemory& memory) {
  if (memory.port.value != 0 && core::Target::parse(memory.target)) return {};
  return Error(Code::kInvalid, fmt::format("remembering port {} for target '{}': both must be valid", memory.port.value,
                                           escape(memory.target, 80)));
}

WallTime stored_time(WallTime time) { return std::chrono::floor<Millis>(time); }

Error agent_exists(std::string_view name) {
  return {Code::kExists, fmt::format("an agent named {} exists already; choose another name", name)};
}

Error mapping_exists(const core::PublicPorts& ports) {
  const std::string name = ports.text();
  return {Code::kExists,
          fmt::format("{} is mapped already; free it with: nfctl unmap {}", name, name.substr(0, name.rfind('/')))};
}

Error no_such_agent(core::AgentId id) {
  return {Code::kNotFound, fmt::format("there is no agent with id {}; `nfctl agent list` shows them", id.value)};
}

Error no_such_mapping(core::MappingId id) {
  return {Code::kNotFound, fmt::format("there is no mapping with id {}; `nfctl maps` shows them", id.value)};
}

}  // namespace nfr::store
