// SPDX-License-Identifier: GPL-2.0-only
#include "migrate/import.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "migrate/settings.hpp"
#include "migrate/tree.hpp"

namespace nfr::migrate {
namespace {

bool ends_with_any(const std::string& name, std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return name.ends_with(end); });
}

Result<Node> read(const Source& source, std::optional<Format> format) {
  if (format == Format::kPortProxy || (!format && ends_with_any(source.name, {".yaml", ".yml"}))) {
    return read_yaml(source.text, source.name);
  }
  const bool frp = !format || *format == Format::kFrpc || *format == Format::kFrps;
  // The old format of frp; its first section has this name.
  const bool ini = ends_with_any(source.name, {".ini"}) || source.text.starts_with("[common]");
  if (frp && ini) return read_ini(source.text, source.name);
  return read_toml(source.text, source.name);
}

bool has_any(const Node& node, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return node.find(name) != nullptr; });
}

Result<Format> recognize(const Source& source, const Node& root) {
  if (ends_with_any(source.name, {".yaml", ".yml"})) return Format::kPortProxy;
  for (const char* table : {"client", "server"}) {
    const Node* node = root.find(table);
    if (node != nullptr && node->find("services") != nullptr) return Format::kRathole;
  }
  const Node* common = root.find("common");
  const Node& top = common != nullptr ? *common : root;
  if (has_any(top, {"serverAddr", "serverPort", "server_addr", "server_port", "proxies", "visitors"}))
    return Format::kFrpc;
  if (has_any(top, {"bindPort", "bind_port", "bindAddr", "bind_addr", "allowPorts", "vhostHTTPPort"}))
    return Format::kFrps;
  return Error(Code::kInvalid, fmt::format("{}: this is none of the files known by their keys; name what it is: "
                                           "--format frpc, frps, rathole or port-proxy",
                                           source.name));
}

void import_one(Format format, Settings& settings, const std::string& agent, Imported& out) {
  switch (format) {
    case Format::kFrpc: return import_frpc(settings, agent, out);
    case Format::kFrps: return import_frps(settings, agent, out);
    case Format::kPortProxy: return import_port_proxy(settings, out);
    case Format::kRathole: break;  // its files belong together
  }
}

/// The first mapping keeps a public port; later ones that want it too are told.
void drop_collisions(Imported& out) {
  std::vector<config::DeclaredMapping> kept;
  for (config::DeclaredMapping& next : out.mappings) {
    const auto clash = std::find_if(kept.begin(), kept.end(), [&](const config::DeclaredMapping& before) {
      const core::Mapping& a = before.mapping;
      const core::Mapping& b = next.mapping;
      const bool automatic = a.public_ports.automatic() && b.public_ports.automatic();
      if (automatic) return before.agent == next.agent && a.target == b.target;
      return !a.public_ports.automatic() && !b.public_ports.automatic() && a.public_ports.overlaps(b.public_ports);
    });
    if (clash == kept.end()) {
      kept.push_back(std::move(next));
      continue;
    }
    out.leftovers.push_back({"", 0, next.mapping.public_ports.text() + " -> " + next.mapping.target.text(),
                             "this public port is already that of " + clash->mapping.target.text()});
  }
  out.mappings = std::move(kept);
}

/// Parsers of TOML sort by name; people read by line.
void sort_leftovers(const std::vector<Source>& sources, std::vector<Leftover>& leftovers) {
  const auto place = [&](const Leftover& left) {
    const auto source =
        std::find_if(sources.begin(), sources.end(), [&](const Source& one) { return one.name == left.file; });
    return std::pair(source - sources.begin(), left.line);
  };
  std::stable_sort(leftovers.begin(), leftovers.end(),
                   [&](const Leftover& a, const Leftover& b) { return place(a) < place(b); });
}

void add_agents(Imported& out) {
  std::vector<std::string> names;
  for (const config::DeclaredMapping& mapping : out.mappings) {
    if (std::find(names.begin(), names.end(), mapping.agent) == names.end()) names.push_back(mapping.agent);
  }
  std::vector<std::string> lines;
  for (const std::string& name : names) {
    std::string line = "nfctl agent add " + name;
    if (std::find(out.commands.begin(), out.commands.end(), line) == out.commands.end())
      lines.push_back(std::move(line));
  }
  out.commands.insert(out.commands.begin(), lines.begin(), lines.end());
}

}  // namespace

Result<Format> parse_format(std::string_view text) {
  if (text == "frpc") return Format::kFrpc;
  if (text == "frps") return Format::kFrps;
  if (text == "rathole") return Format::kRathole;
  if (text == "port-proxy") return Format::kPortProxy;
  return Error(Code::kInvalid,
               fmt::format("format '{}': expected frpc, frps, rathole or port-proxy", escape(text, 40)));
}

Result<Imported> import_files(const std::vector<Source>& sources, std::optional<Format> format,
                              const std::string& agent) {
  Imported out;
  std::vector<Node> roots;
  roots.reserve(sources.size());  // Settings keep references
  std::vector<Settings> rathole;
  for (const Source& source : sources) {
    auto root = read(source, format);
    if (!root) return root.error();
    const auto kind = format ? Result<Format>(*format) : recognize(source, *root);
    if (!kind) return kind.error();
    roots.push_back(std::move(*root));
    Settings settings(source.name, roots.back(), out.leftovers);
    if (*kind == Format::kRathole)
      rathole.push_back(std::move(settings));
    else
      import_one(*kind, settings, agent, out);
  }
  if (!rathole.empty()) import_rathole(rathole, agent, out);
  drop_collisions(out);
  add_agents(out);
  sort_leftovers(sources, out.leftovers);
  return out;
}

}  // namespace nfr::migrate
