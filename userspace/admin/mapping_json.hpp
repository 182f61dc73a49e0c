// SPDX-License-Identifier: GPL-2.0-only
// A mapping as the admin API's commands map, apply and export carry it. Pure, any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "core/nouns.hpp"

namespace nfr::admin {

/// What was declared: settings that have their defaults are left out, and a port of the relay's choice is "auto".
nlohmann::json mapping_json(const core::Mapping& mapping, std::string_view agent);

}  // namespace nfr::admin
