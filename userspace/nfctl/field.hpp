// SPDX-License-Identifier: GPL-2.0-only
// Members of the relay's answers, read without trust: a missing or odd one gives a default, never an exception, and
// text comes out safe for a terminal. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/clock.hpp"

namespace nfr::nfctl {

using nlohmann::json;

/// A table cell: escaped, on one line, single spaces only, "-" when there is nothing.
std::string cell(const json& object, const char* key);
/// A sentence that the relay wrote, peers' parts escaped there already: control bytes go, backslashes stay.
std::string sentence(std::string_view text);
std::string sentence(const json& object, const char* key);  ///< "" when it is missing

std::uint64_t count(const json& object, const char* key);  ///< 0 when missing, negative or no number
bool flag(const json& object, const char* key);
const json& member(const json& object, const char* key);  ///< null when missing
const json& list(const json& object, const char* key);    ///< an empty array when missing
std::string warnings_text(const json& object);            ///< a line for each of its "warnings"

std::string bytes_cell(const json& object, const char* key);
std::string ms_cell(const json& object, const char* key);          ///< a duration; "-" for 0 or missing
std::string counted(std::uint64_t number, std::string_view noun);  ///< "1 flow", "3 flows"
/// From a time in unix seconds until now: "4 min"; "-" for 0 or missing.
std::string age_cell(const json& object, const char* key, WallTime now);

/// From now until a time in unix seconds: "2 h"; "-" for missing, "0 s" for one that has passed.
std::string remaining_cell(const json& object, const char* key, WallTime now);
/// "Fri 27 Nov 19:04 UTC".
std::string utc_text(std::uint64_t unix_seconds);
/// The time of day of a time in unix milliseconds; with the date when it is not today's. UTC, as in logs.
std::string clock_text(std::uint64_t unix_ms, WallTime now);

}  // namespace nfr::nfctl
