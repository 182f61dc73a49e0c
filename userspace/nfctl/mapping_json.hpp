// SPDX-License-Identifier: GPL-2.0-only
// A declared mapping between the file's form and the admin API's. Pure; used by apply and import.
#pragma once

#include <utility>
#include <vector>

#include "config/mappings_file.hpp"
#include "nfctl/field.hpp"

namespace nfr::nfctl {

json to_json(const config::DeclaredMapping& declared);
Result<config::DeclaredMapping> from_json(const json& mapping);  ///< kInvalid naming what cannot be read

/// Keys of JSON beside public, agent and target, and what the file calls them.
std::vector<std::pair<const char*, const char*>> mapping_settings();

}  // namespace nfr::nfctl
