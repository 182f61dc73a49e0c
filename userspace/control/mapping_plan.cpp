// SPDX-License-Identifier: GPL-2.0-only
#include "control/mapping_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"

namespace nfr::control {
namespace {

bool same_content(const core::Mapping& a, const core::Mapping& b) {
  return a.agent == b.agent && a.target == b.target && a.leg == b.leg && a.idle_timeout == b.idle_timeout &&
         a.proxy == b.proxy && a.admission == b.admission && !a.expires && !b.expires;
}

std::string describe(const core::Mapping& mapping) {
  return fmt::format("{} -> {}", mapping.public_ports.text(), mapping.target.text());
}

Status check_against(const core::Mapping& mapping, const std::vector<core::Mapping>& before) {
  for (const core::Mapping& other : before) {
    const bool clash = mapping.automatic
                           ? other.automatic && other.agent == mapping.agent && other.target == mapping.target
                           : !other.automatic && other.public_ports.overlaps(mapping.public_ports);
    if (clash) {
      return Error(Code::kExists, fmt::format("{} and {} want the same", describe(other), describe(mapping)));
    }
  }
  return {};
}

const core::Mapping* counterpart(const MappingBook& book, const core::Mapping& wanted) {
  for (const auto& [id, entry] : book.all()) {
    const core::Mapping& there = entry.mapping;
    const bool same = wanted.automatic ? there.automatic && there.agent == wanted.agent && there.target == wanted.target
                                       : there.public_ports == wanted.public_ports;
    if (same) return &there;
  }
  return nullptr;
}

// A port that something else keeps: another agent's own mapping, or a range that goes on existing.
Status check_free(const MappingBook& book, const AgentBook& agents, const core::Mapping& wanted,
                  const std::set<core::MappingId>& kept) {
  if (wanted.automatic) return {};
  for (const auto& [id, entry] : book.all()) {
    const core::Mapping& there = entry.mapping;
    const bool stays = there.origin == core::Origin::kAgent || kept.contains(id);
    // Its exact ports are taken over from the operator's own mapping, and from one the same agent made.
    const bool taken_over = there.public_ports == wanted.public_ports &&
                            (there.origin == core::Origin::kOperator || there.agent == wanted.agent);
    if (!stays || taken_over || !there.public_ports.overlaps(wanted.public_ports)) continue;
    return Error(Code::kExists, fmt::format("{}: {} belongs to {} (-> {})", describe(wanted), there.public_ports.text(),
                                            agents.find(there.agent)->name, there.target.text()));
  }
  return {};
}

}  // namespace

Result<MappingPlan> MappingPlan::make(const MappingBook& book, const AgentBook& agents,
                                      const std::vector<MappingBook::Request>& declared) {
  std::vector<core::Mapping> wanted;
  std::set<core::MappingId> kept;
  for (const MappingBook::Request& request : declared) {
    auto checked = book.complete(request);
    if (!checked) return checked.error().context(describe(request.mapping));
    if (auto status = check_against(*checked, wanted); !status) return status.error();
    if (const core::Mapping* there = counterpart(book, *checked)) {
      // An automatic one whose port another entry names.
      if (!kept.insert(there->id).second) {
        return Error(Code::kExists, fmt::format("{} is what another entry has already ({} now)", describe(*checked),
                                                there->public_ports.text()));
      }
    }
    wanted.push_back(std::move(*checked));
  }
  MappingPlan plan;
  for (core::Mapping& mapping : wanted) {
    if (auto status = check_free(book, agents, mapping, kept); !status) return status.error();
    const core::Mapping* there = counterpart(book, mapping);
    if (there == nullptr) {
      plan.add.push_back(std::move(mapping));
    } else if (there->origin == core::Origin::kOperator && same_content(*there, mapping)) {
      ++plan.unchanged;
    } else {
      mapping.id = there->id;
      mapping.created = there->created;
      mapping.public_ports = there->public_ports;
      plan.change.push_back(std::move(mapping));
    }
  }
  for (const auto& [id, entry] : book.all()) {
    const bool governed = entry.mapping.origin == core::Origin::kOperator;
    if (governed && !kept.contains(id)) plan.remove.push_back(entry.mapping);
  }
  return plan;
}

}  // namespace nfr::control
