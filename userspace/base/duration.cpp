// SPDX-License-Identifier: GPL-2.0-only
#include "base/duration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace nfr {
namespace {

struct Unit {
  std::string_view name;
  Millis length;
};
// Largest first.
constexpr std::array<Unit, 5> kUnits = {{{"d", Millis{86'400'000}},
                                         {"h", Millis{3'600'000}},
                                         {"m", Millis{60'000}},
                                         {"s", Millis{1000}},
                                         {"ms", Millis{1}}}};

}  // namespace

Result<Millis> parse_duration(std::string_view text) {
  if (text == "0" || text == "never") return Millis{0};
  constexpr std::size_t kDigitsMax = 9;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto unit =
      std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& one) { return one.name == text.substr(digits); });
  if (digits == 0 || digits > kDigitsMax || unit == kUnits.end()) {
    return Error(
        Code::kInvalid,
        fmt::format("'{}' is not a duration: a number and ms, s, m, h or d, such as 10m; or never", escape(text, 40)));
  }
  return Millis{std::stol(std::string(text.substr(0, digits))) * unit->length.count()};
}

std::string typed_duration(Millis duration) {
  if (duration.count() == 0) return "never";
  const auto unit = std::find_if(kUnits.begin(), kUnits.end(),
                                 [&](const Unit& one) { return duration.count() % one.length.count() == 0; });
  return fmt::format("{}{}", duration / unit->length, unit->name);
}

}  // namespace nfr
