// SPDX-License-Identifier: GPL-2.0-only
// A declared mapping read from the admin API's JSON (admin/mapping_json.hpp writes it). Pure; used by apply and import.
#pragma once

#include <utility>
#include <vector>

#include "config/mappings_file.hpp"
#include "nfctl/field.hpp"

namespace nfr::nfctl {

Result<config::DeclaredMapping> from_json(const json& mapping);  ///< kInvalid naming what cannot be read

/// Keys of JSON beside public, agent and target, and what the file calls them.
std::vector<std::pair<const char*, const char*>> mapping_settings();

}  // namespace nfr::nfctl
