// SPDX-License-Identifier: GPL-2.0-only
// Arguments of admin requests, checked: what is missing or of a wrong type is an error that names it. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "control/mapping_book.hpp"

namespace nfr::relayd {

/// The text under `name`, or an empty one where there is none: the callee's own check then says what it expects.
std::string text_argument(const nlohmann::json& args, const char* name);
/// True only for JSON true.
bool flag_argument(const nlohmann::json& args, const char* name);

/// {public, agent, target, leg?, idle_timeout_ms?, proxy?, allow?, deny?, max_flows?, max_per_source?, rate?, for_ms?};
/// lists are arrays of networks, 0 means no limit. `now`: the wall clock, for for_ms.
Result<control::MappingBook::Request> map_request(const nlohmann::json& args, WallTime now);

/// {mappings: [...]} of apply: each as map_request() without for_ms; an error names the entry by its place.
Result<std::vector<control::MappingBook::Request>> apply_requests(const nlohmann::json& args);

/// The mapping's admission after {allow_add?, deny_add?, allow_clear?, deny_clear?, max_flows?, max_per_source?,
/// rate?}.
Result<core::Admission> admission_change(const nlohmann::json& args, core::Admission admission);

/// The rights after {ports?: "8000-8999,auto" or "none", max_mappings?, max_flows?}.
Result<core::Rights> rights_change(const nlohmann::json& args, core::Rights rights);

}  // namespace nfr::relayd
