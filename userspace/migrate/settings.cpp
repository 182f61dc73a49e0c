// SPDX-License-Identifier: GPL-2.0-only
#include "migrate/settings.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace nfr::migrate {
namespace {

constexpr std::size_t kShownMax = 120;

/// The reason for "a.b.c", else for "a.b", else for "a".
std::string reason_for(std::string name, const Reasons& reasons) {
  while (true) {
    const auto found = reasons.find(name);
    if (found != reasons.end()) return found->second;
    const std::size_t dot = name.rfind('.');
    if (dot == std::string::npos) return "Netferry has no such setting";
    name.resize(dot);
  }
}

}  // namespace

std::optional<std::string> Settings::take(const Node& table, std::string_view dotted) {
  const Node* node = table.find(dotted);
  for (std::size_t dot = dotted.find('.'); node == nullptr && dot != std::string_view::npos;) {
    const Node* inner = table.find(dotted.substr(0, dot));
    return inner == nullptr ? std::nullopt : take(*inner, dotted.substr(dot + 1));
  }
  if (node == nullptr || node->kind != Node::Kind::kText) return std::nullopt;
  taken_.insert(node);
  return node->text;
}

std::optional<std::string> Settings::take_any(const Node& table, const std::vector<std::string_view>& spellings) {
  for (const std::string_view spelling : spellings) {
    if (auto text = take(table, spelling)) return text;
  }
  return std::nullopt;
}

void Settings::leave(const Node& node, std::string setting, std::string why) {
  leftovers_.push_back({file_, node.line, escape(setting, kShownMax), std::move(why)});
}

void Settings::leave_rest(const Node& table, const std::string& prefix, const Reasons& reasons) {
  leave_inside(table, "", prefix, reasons);
}

void Settings::leave_inside(const Node& node, const std::string& path, const std::string& prefix,
                            const Reasons& reasons) {
  if (taken_.contains(&node)) return;
  const bool values = node.kind == Node::Kind::kTable && !node.members.empty();
  if (!values) {
    if (!path.empty()) leave(node, prefix + path, reason_for(path, reasons));
    return;
  }
  for (const auto& [name, inner] : node.members)
    leave_inside(inner, path.empty() ? name : path + "." + name, prefix, reasons);
}

Result<config::DeclaredMapping> make_mapping(const std::string& public_ports, const std::string& agent,
                                             const std::string& target) {
  config::DeclaredMapping declared;
  const auto ports = core::PublicPorts::parse(public_ports);
  if (!ports) return ports.error();
  auto parsed = core::Target::parse(target);
  if (!parsed) return parsed.error();
  const bool one_socket = parsed->kind == core::Target::Kind::kUnix;
  if (!one_socket && !ports->automatic() && ports->count != parsed->port_count) {
    return Error(Code::kInvalid,
                 fmt::format("{} and {} do not have equally many ports", ports->text(), parsed->text()));
  }
  declared.agent = agent;
  declared.mapping.public_ports = *ports;
  declared.mapping.target = std::move(*parsed);
  return declared;
}

std::string agent_name_from(const std::string& text, const std::string& otherwise) {
  std::string name;
  for (const char c : text) name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return core::parse_agent_name(name) ? name : otherwise;
}

}  // namespace nfr::migrate
