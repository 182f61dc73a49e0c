// SPDX-License-Identifier: GPL-2.0-only
// nfctl apply | export: the operator's mappings as a file. Pure; called by app.cpp. The file format is
// config/mappings_file.hpp's.
#include <fmt/format.h>

#include "admin/mapping_json.hpp"
#include "config/mappings_file.hpp"
#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"
#include "nfctl/mapping_json.hpp"

namespace nfr::nfctl {
namespace {

Result<Call> build_apply(const Arguments& arguments) {
  const InputFile& file = arguments.files[0];
  const auto declared = config::parse_mappings(file.text, file.name);
  if (!declared) return declared.error();
  json mappings = json::array();
  for (const config::DeclaredMapping& mapping : *declared)
    mappings.push_back(admin::mapping_json(mapping.mapping, mapping.agent));
  return Call{"apply", {{"mappings", std::move(mappings)}, {"dry_run", arguments.has("dry-run")}}};
}

Result<Call> build_export(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 0); !status) return status.error();
  return Call{"export", json::object()};
}

std::string value_text(const json& mapping, const char* key) {
  if (std::string_view(key) == "idle_timeout_ms") return ms_cell(mapping, key);
  const json& value = member(mapping, key);
  if (!value.is_array()) return cell(mapping, key);
  std::string out;
  for (const json& item : value) out += (out.empty() ? "" : ",") + cell({{"item", item}}, "item");
  return out.empty() ? "-" : out;
}

std::string line_text(const json& mapping) {
  const bool has_port = member(mapping, "port").is_string();
  return fmt::format("{}{} -> {} {}", cell(mapping, "public"), has_port ? " (" + cell(mapping, "port") + ")" : "",
                     cell(mapping, "agent"), cell(mapping, "target"));
}

/// What a new mapping has beside its place: "leg tls; allow 10.0.0.0/8".
std::string settings_text(const json& mapping) {
  std::string out;
  for (const auto& [key, name] : mapping_settings()) {
    const std::string value = value_text(mapping, key);
    if (value != "-") out += fmt::format("{}{} {}", out.empty() ? "   " : "; ", name, value);
  }
  return out;
}

std::string or_unset(const std::string& value) { return value == "-" ? "unset" : value; }

/// "leg unset -> tls; target 127.0.0.1:1 -> 127.0.0.1:2"
std::string changes_text(const json& mapping) {
  const json& before = member(mapping, "before");
  std::string out;
  auto keys = mapping_settings();
  keys.insert(keys.begin(), {{"agent", "agent"}, {"target", "target"}});
  for (const auto& [key, name] : keys) {
    const std::string was = value_text(before, key), is = value_text(mapping, key);
    if (was != is) out += fmt::format("{}{} {} -> {}", out.empty() ? "   " : "; ", name, or_unset(was), or_unset(is));
  }
  // An agent's own mapping, or one with an end, becomes a lasting one of the operator.
  return out.empty() ? "   lasts from now on" : out;
}

std::string counts_line(const json& result) {
  const bool dry_run = flag(result, "dry_run");
  const auto number = [&](const char* key) { return list(result, key).size(); };
  return fmt::format("{} {}, {} {}, {} {}, {} unchanged{}\n", number("added"), dry_run ? "to add" : "added",
                     number("removed"), dry_run ? "to remove" : "removed", number("changed"),
                     dry_run ? "to change" : "changed", count(result, "unchanged"),
                     dry_run ? " (dry run: nothing was changed)" : "");
}

Text render_apply(const json& result, const View& view) {
  std::string out;
  for (const json& mapping : list(result, "added"))
    out += paint("+ " + line_text(mapping) + settings_text(mapping), Tone::kGood, view) + "\n";
  for (const json& mapping : list(result, "removed")) out += paint("- " + line_text(mapping), Tone::kBad, view) + "\n";
  for (const json& mapping : list(result, "changed"))
    out += paint("~ " + line_text(mapping) + changes_text(mapping), Tone::kWarn, view) + "\n";
  return {out + counts_line(result), ""};
}

Text render_export(const json& result, const View&) {
  Text text;
  std::vector<config::DeclaredMapping> mappings;
  for (const json& mapping : list(result, "mappings")) {
    auto declared = from_json(mapping);
    if (declared)
      mappings.push_back(std::move(*declared));
    else
      text.err += "warning: left out: " + sentence(declared.error().message()) + "\n";
  }
  text.out = "# Mappings of a Netferry relay, for: nfctl apply FILE\n";
  if (!mappings.empty()) text.out += "\n" + config::write_mappings(mappings);
  return text;
}

}  // namespace

std::vector<Command> apply_commands() {
  return {{.name = "apply",
           .operands = "FILE",
           .summary = "make the operator's mappings those of a file (TOML), all or nothing",
           .details =
               "FILE: tables [[mapping]] with public, agent, target and, if wanted, leg, idle, proxy, allow, deny,\n"
               "max_flows, max_per_source, rate; - is standard input; nfctl export writes one. Mappings that agents\n"
               "made by themselves are left alone, and so are the flows of mappings that do not change.\n",
           .options = {{"dry-run", "", "only show the difference"}},
           .build = build_apply,
           .render = render_apply,
           .files_max = 1},
          {.name = "export",
           .operands = "",
           .summary = "print the operator's lasting mappings as a file for apply",
           .details = "Without mappings that agents made by themselves and without those that end (--for).\n",
           .options = {},
           .build = build_export,
           .render = render_export}};
}

}  // namespace nfr::nfctl
