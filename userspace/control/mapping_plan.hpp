// SPDX-License-Identifier: GPL-2.0-only
// MappingPlan: what `nfctl apply` would change: the operator's mappings as a file declares them against those there
// are. Pure; made and shown first, carried out by MappingBook::change().
#pragma once

#include <vector>

#include "control/mapping_book.hpp"

namespace nfr::control {

struct MappingPlan {
  std::vector<core::Mapping> add;     ///< without id; the port of an automatic one is not chosen yet
  std::vector<core::Mapping> change;  ///< with the id of what they replace
  std::vector<core::Mapping> remove;
  std::size_t unchanged = 0;

  /// Errors name the entry at fault. Mappings that agents made by themselves are left alone.
  static Result<MappingPlan> make(const MappingBook& book, const AgentBook& agents,
                                  const std::vector<MappingBook::Request>& declared);
};

}  // namespace nfr::control
