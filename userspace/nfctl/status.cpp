// SPDX-License-Identifier: GPL-2.0-only
// nfctl status | reload: the relay as a whole. Pure; called by app.cpp.
#include <fmt/format.h>

#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"

namespace nfr::nfctl {
namespace {

Result<Call> build_status(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 0); !status) return status.error();
  return Call{"status", json::object()};
}

std::string labelled(std::string_view label, std::string_view text) { return fmt::format("{:<8} {}\n", label, text); }

std::string headline(const json& result) {
  json uptime = {{"ms", std::min<std::uint64_t>(count(result, "uptime_s"), 1'000'000'000) * 1000}};
  return fmt::format("relay {}  up {}  {} ({} connected)  {}  {}\n", cell(result, "address"),
                     count(result, "uptime_s") == 0 ? "0 s" : ms_cell(uptime, "ms"),
                     counted(count(result, "agents"), "agent"), count(result, "agents_connected"),
                     counted(count(result, "mappings"), "mapping"), counted(count(result, "flows"), "flow"));
}

std::string tier_lines(const json& tiers, const View& view) {
  std::string out;
  for (const json& tier : tiers) {
    const bool on = flag(tier, "on");
    const std::string state = paint(on ? "on " : "off", on ? Tone::kGood : Tone::kWarn, view);
    const std::string text = sentence(tier, "text");
    out += labelled(cell(tier, "name"), text.empty() ? state : state + "  " + text);
  }
  return out;
}

std::string limits_line(const json& limits) {
  if (!limits.is_object() || limits.empty()) return "";
  std::string line;
  for (const auto& [name, limit] : limits.items()) {
    if (!line.empty()) line += "; ";
    line += fmt::format("{} {} of {}", sentence(name), count(limit, "used"), count(limit, "max"));
  }
  return labelled("limits", line);
}

/// How well system calls are batched; nothing before the first.
std::string io_line(const json& io) {
  const std::uint64_t completions = count(io, "completions");
  const std::uint64_t enters = count(io, "enters");
  if (completions == 0 || enters == 0) return "";
  return labelled(
      "io", fmt::format("{} completions, {:.1f} a call of the kernel, {} outstanding", completions,
                        static_cast<double>(completions) / static_cast<double>(enters), count(io, "outstanding")));
}

std::string pool_line(const json& pool) {
  if (!pool.is_object()) return "";
  if (count(pool, "max") == 0) return labelled("pool", "off");
  return labelled("pool",
                  fmt::format("{} ready, {} asked for, {} wanted, at most {}; visitors: {} found one, {} did not; "
                              "ended: {} by age, {} broke, {} failed, {} given up",
                              count(pool, "ready"), count(pool, "asked"), count(pool, "wanted"), count(pool, "max"),
                              count(pool, "hits"), count(pool, "misses"), count(pool, "aged"), count(pool, "died"),
                              count(pool, "failed"), count(pool, "given_up")));
}

Text render_status(const json& result, const View& view) {
  std::string out = headline(result) + tier_lines(list(result, "tiers"), view) + io_line(member(result, "io")) +
                    limits_line(member(result, "limits"));
  out += pool_line(member(result, "pool"));
  if (const std::string shortage = sentence(result, "shortage"); !shortage.empty()) out += labelled("short", shortage);
  out += labelled("keys", fmt::format("{}, next {}", cell(result, "relay_key"), cell(result, "next_key")));
  if (flag(result, "single")) out += labelled("single", "one process does everything, without a holder");
  for (const json& missing : list(result, "missing")) {
    if (missing.is_string()) out += labelled("missing", sentence(missing.get<std::string>()));
  }
  if (count(result, "agents") == 0) out += "Next: nfctl agent add NAME\n";
  return {out, ""};
}

Result<Call> build_reload(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 0); !status) return status.error();
  return Call{"reload", json::object()};
}

Text render_reload(const json& result, const View&) {
  Text text{"the configuration is reloaded\n", ""};
  for (const json& key : list(result, "needs_restart")) {
    if (key.is_string())
      text.err += "warning: " + sentence(key.get<std::string>()) + " changes at the next start only\n";
  }
  return text;
}

}  // namespace

std::vector<Command> status_commands() {
  return {{"status",
           "",
           "show the relay as a whole: tiers, limits, keys, what is missing",
           "",
           {watch_option()},
           build_status,
           render_status},
          {"reload",
           "",
           "read relay.toml again; a bad one leaves the old one running",
           "Flows and sessions stay. Some keys need a restart of nfrelayd; they are named.\n",
           {},
           build_reload,
           render_reload}};
}

}  // namespace nfr::nfctl
