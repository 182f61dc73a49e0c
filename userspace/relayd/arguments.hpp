// SPDX-License-Identifier: GPL-2.0-only
// Arguments of admin requests, checked: what is missing or of a wrong type is an error that names it. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "control/mapping_book.hpp"

namespace nfr::relayd {

/// The text under `name`, or an empty one where there is none: the callee's own check then says what it expects.
std::string text_argument(const nlohmann::json& args, const char* name);
/// True only for JSON true.
bool flag_argument(const nlohmann::json& args, const char* name);

/// {public, agent, target, leg?, idle_timeout_ms?}
Result<control::MappingBook::Request> map_request(const nlohmann::json& args);

}  // namespace nfr::relayd
