// SPDX-License-Identifier: GPL-2.0-only
// Fields of a running agent's answers, for nfagent's own commands: absent or of another type is empty, text is safe to
// print. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/text.hpp"

namespace nfr::agent {

inline std::string text_in(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? escape(found->get<std::string>(), 900) : std::string();
}

inline std::uint64_t number_in(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

inline bool flag_in(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace nfr::agent
