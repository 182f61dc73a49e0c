// SPDX-License-Identifier: GPL-2.0-only
#include "store/record_rules.hpp"

#include <fmt/format.h>

namespace nfr::store {

Status check_storable(const core::AgentRecord& record) {
  const auto name = core::parse_agent_name(record.name);
  if (!name) return name.error().context("storing an agent");
  return {};
}

Status check_storable(const core::Mapping& mapping) {
  const auto endpoint = net::Endpoint::parse(mapping.public_endpoint.text());
  if (!endpoint) return endpoint.error().context("storing a mapping: public endpoint");
  const auto target = core::Target::parse(mapping.target.text());
  if (!target) return target.error().context("storing a mapping");
  if (mapping.idle_timeout.count() < 0) {
    return Error(Code::kInvalid, fmt::format("storing a mapping: idle timeout {} ms is negative; 0 means never",
                                             mapping.idle_timeout.count()));
  }
  return {};
}

WallTime stored_time(WallTime time) { return std::chrono::floor<Millis>(time); }

Error agent_exists(std::string_view name) {
  return {Code::kExists, fmt::format("an agent named {} exists already; choose another name", name)};
}

Error mapping_exists(const net::Endpoint& public_endpoint) {
  const std::string name = core::public_text(public_endpoint);
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
