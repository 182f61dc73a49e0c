// SPDX-License-Identifier: GPL-2.0-only
// The file of `nfctl apply` and `nfctl export`: TOML, one [[mapping]] table a mapping. Pure; called by nfctl. Each
// value is judged by the rules that the relay has, so that an error names file, line and key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "core/nouns.hpp"

namespace nfr::config {

/// What a file says of one mapping. Of `mapping`, id, agent, origin, automatic, expires and created are not its
/// business and keep their defaults.
struct DeclaredMapping {
  std::string agent;
  core::Mapping mapping;
};

/// `file` is the name used in errors. kInvalid names file, line, key, value and what was expected.
Result<std::vector<DeclaredMapping>> parse_mappings(std::string_view text, const std::string& file);

/// A file that parse_mappings() reads back to the same. Keys that have their default are left out.
std::string write_mappings(const std::vector<DeclaredMapping>& mappings);

}  // namespace nfr::config
