// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/field.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace nfr::nfctl {
namespace {

// About 30 years; keeps every product below inside 64 bits.
constexpr std::uint64_t kMsMax = 1'000'000'000'000;
constexpr std::size_t kSentenceMax = 2000;

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
  const auto now_s = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  const std::uint64_t today = static_cast<std::uint64_t>(std::max<std::int64_t>(now_s, 0));
  return today > then ? duration_text(std::min(today - then, kMsMax / 1000) * 1000) : "0 s";
}

}  // namespace nfr::nfctl
