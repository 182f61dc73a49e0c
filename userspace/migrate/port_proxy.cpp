// SPDX-License-Identifier: GPL-2.0-only
// import_port_proxy(): a YAML file of named remotes, each with a list of {type: http|tcp, bind, remote}; the remotes
// stand at the top or under "remotes".
#include <fmt/format.h>

#include "base/text.hpp"
#include "migrate/settings.hpp"

namespace nfr::migrate {
namespace {

/// ":8888" and "localhost:8888" are written in such files too.
std::string public_text(std::string bind) {
  if (bind.starts_with(":")) bind.erase(0, 1);
  if (bind.starts_with("localhost:")) bind.replace(0, 9, "127.0.0.1");
  return bind;
}

void import_port(Settings& settings, const Node& port, const std::string& where, const std::string& agent,
                 Imported& out) {
  const std::string type = settings.take(port, "type").value_or("tcp");
  const std::string bind = settings.take(port, "bind").value_or("");
  const std::string remote = settings.take(port, "remote").value_or("");
  if (type != "tcp" && type != "http") {
    return settings.leave(port, where, fmt::format("type {}: expected tcp or http", escape(type, 30)));
  }
  auto mapping = make_mapping(public_text(bind), agent, remote.starts_with(":") ? remote.substr(1) : remote);
  if (!mapping) return settings.leave(port, where, mapping.error().message());
  out.mappings.push_back(std::move(*mapping));
  if (type == "http") {
    settings.leave(port, where + ".type", "http is mapped as tcp: the Host header stays as the visitor sent it");
  }
  settings.leave_rest(port, where + ".", {});
}

}  // namespace

void import_port_proxy(Settings& settings, Imported& out) {
  const Node* inner = settings.root().find("remotes");
  const Node& remotes = inner != nullptr && inner->kind == Node::Kind::kTable ? *inner : settings.root();
  for (const auto& [name, ports] : remotes.members) {
    if (ports.kind != Node::Kind::kList) continue;  // told by leave_rest
    settings.take_all(ports);
    const std::string agent = agent_name_from(name, "");
    if (agent.empty()) {
      settings.leave(ports, name, "not a name that an agent may have: 1 to 32 of a-z 0-9 - _ .");
      continue;
    }
    std::size_t number = 0;
    for (const Node& port : ports.items) import_port(settings, port, fmt::format("{}[{}]", name, number++), agent, out);
  }
  settings.leave_rest(settings.root(), "", {});
}

}  // namespace nfr::migrate
