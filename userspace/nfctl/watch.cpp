// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/watch.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "nfr/admin/admin.h"

namespace nfr::nfctl {
namespace {

constexpr std::uint64_t kSecondsMax = 3600;
constexpr std::uint64_t kSecondsDefault = 2;
constexpr const char* kHomeAndClear = "\x1b[H\x1b[2J\x1b[3J";

std::string screen(const std::string& command, std::uint64_t seconds, const Outcome& outcome, WallTime now) {
  return fmt::format("{}nfctl {}, every {} s, {:%H:%M:%S} UTC (Ctrl-C ends it)\n\n{}{}", kHomeAndClear, command,
                     seconds, fmt::gmtime(std::chrono::system_clock::to_time_t(now)), outcome.out, outcome.err);
}

}  // namespace

Result<std::uint64_t> watch_seconds(const Arguments& arguments) {
  if (arguments.value("watch").value_or("").empty()) return kSecondsDefault;
  const auto seconds = number_option(arguments, "watch", kSecondsMax);
  if (seconds && *seconds > 0) return *seconds;
  return Error(Code::kInvalid, fmt::format("--watch: expected seconds from 1 to {}", kSecondsMax));
}

Outcome watch(const std::string& command, std::uint64_t seconds, const std::function<Outcome(const Environment&)>& once,
              const Environment& environment) {
  Environment now = environment;
  for (bool first = true;; first = false) {
    now.view.now = environment.now();
    const Outcome outcome = once(now);
    if (first && outcome.exit_code != NFR_EXIT_OK) return outcome;
    const bool shown = environment.terminal ? environment.show(screen(command, seconds, outcome, now.view.now), "")
                                            : environment.show((first ? "" : "\n") + outcome.out, outcome.err);
    if (!shown) return {"", "", NFR_EXIT_FAILED};
    if (!environment.wait(std::chrono::seconds(seconds))) return {environment.terminal ? "\n" : "", "", NFR_EXIT_OK};
  }
}

}  // namespace nfr::nfctl
