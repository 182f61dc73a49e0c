// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/field.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace nfr::nfctl {
namespace {

// About 30 years; keeps every product below inside 64 bits.
constexpr std::uint64_t kMsMax = 1'000'000'000'000;
constexpr std::size_t kSentenceMax = 2000;
// Year 9999: later ones do not fit the calendar functions.
constexpr std::uint64_t kUnixMsMax = 253'402'300'799'000;
// Year 2262: the last that WallTime, a 64-bit count of nanoseconds, reaches.
constexpr std::uint64_t kWallSecondsMax = 9'223'372'036;
constexpr std::uint64_t kSecondsPerDay = 86'400;

std::uint64_t unix_seconds_of(WallTime time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0));
}

std::string duration_text(std::uint64_t ms) {
  return human_duration(Micros(static_cast<Micros::rep>(std::min(ms, kMsMax)) * 1000));
}

}  // namespace

const json& member(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

const json& list(const json& object, const char* key) {
  static const json kEmpty = json::array();
  const json& value = member(object, key);
  return value.is_array() ? value : kEmpty;
}

std::string cell(const json& object, const char* key) {
  const json& value = member(object, key);
  if (value.is_null()) return "-";
  const std::string raw = value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', true);
  std::string out;
  for (const char c : escape(raw)) {
    // Two spaces end a column.
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  }
  return out.empty() || out == " " ? "-" : out;
}

std::string sentence(std::string_view text) {
  std::string out = escape(text, kSentenceMax);
  constexpr std::string_view kBackslash = "\\x5c";
  for (std::size_t at = out.find(kBackslash); at != std::string::npos; at = out.find(kBackslash, at + 1)) {
    out.replace(at, kBackslash.size(), "\\");
  }
  return out;
}

std::string sentence(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_string() ? sentence(value.get<std::string>()) : std::string();
}

std::uint64_t count(const json& object, const char* key) {
  const json& value = member(object, key);
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (!value.is_number()) return 0;
  const double number = value.get<double>();
  return number >= 0 && number < 1e18 ? static_cast<std::uint64_t>(number) : 0;
}

bool flag(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::string warnings_text(const json& object) {
  std::string text;
  for (const json& warning : list(object, "warnings")) {
    if (warning.is_string()) text += "warning: " + sentence(warning.get<std::string>()) + "\n";
  }
  return text;
}

std::string bytes_cell(const json& object, const char* key) { return human_bytes(count(object, key)); }

std::string ms_cell(const json& object, const char* key) {
  const std::uint64_t ms = count(object, key);
  return ms == 0 ? "-" : duration_text(ms);
}

std::string counted(std::uint64_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string age_cell(const json& object, const char* key, WallTime now) {
  const std::uint64_t then = count(object, key);
  if (then == 0) return "-";
  const std::uint64_t today = unix_seconds_of(now);
  return today > then ? duration_text(std::min(today - then, kMsMax / 1000) * 1000) : "0 s";
}

std::string remaining_cell(const json& object, const char* key, WallTime now) {
  const std::uint64_t then = count(object, key);
  if (then == 0) return "-";
  const std::uint64_t today = unix_seconds_of(now);
  return then > today ? duration_text(std::min(then - today, kMsMax / 1000) * 1000) : "0 s";
}

std::string utc_text(std::uint64_t unix_seconds) {
  const auto time = static_cast<std::time_t>(std::min(unix_seconds, kWallSecondsMax));
  return utc_time(std::chrono::system_clock::from_time_t(time));
}

std::string clock_text(std::uint64_t unix_ms, WallTime now) {
  unix_ms = std::min(unix_ms, kUnixMsMax);
  const bool today = unix_seconds_of(now) / kSecondsPerDay == unix_ms / 1000 / kSecondsPerDay;
  const auto time = fmt::gmtime(static_cast<std::time_t>(unix_ms / 1000));
  return today ? fmt::format("{:%H:%M:%S}", time) : fmt::format("{:%d %b %H:%M:%S}", time);
}

}  // namespace nfr::nfctl
