// SPDX-License-Identifier: GPL-2.0-only
// import_rathole(): its client file knows the targets, its server file the public ports; given both, the service's name
// joins them. https://github.com/rapiz1/rathole, README
#include <fmt/format.h>

#include "base/text.hpp"
#include "migrate/settings.hpp"

namespace nfr::migrate {
namespace {

const Reasons& reasons() {
  static const std::string kJoin = "the agent learns this from its join line: nfctl agent add NAME, nfagent join LINE";
  static const std::string kKey = "agents prove themselves with a key of their own, not with a shared secret";
  static const std::string kTransport = "Netferry's transport is one of its own: TLS 1.3, nothing is to be set";
  static const std::string kBeat = "set heartbeat_ms in relay.toml";
  static const Reasons kReasons = {{"client.remote_addr", kJoin},
                                   {"client.default_token", kKey},
                                   {"server.default_token", kKey},
                                   {"client.transport", kTransport},
                                   {"server.transport", kTransport},
                                   {"server.heartbeat_interval", kBeat},
                                   {"client.heartbeat_timeout", kBeat},
                                   {"client.retry_interval", "the agent waits between tries by itself"},
                                   {"server.bind_addr", "set listen in relay.toml"}};
  return kReasons;
}

const Reasons& service_reasons() {
  static const Reasons kReasons = {
      {"token", "agents prove themselves with a key of their own, not with a shared secret"},
      {"nodelay", "Netferry always sends without delay"},
      {"retry_interval", "the agent waits between tries by itself"}};
  return kReasons;
}

/// What both files say of one service, in the order of its first mention.
struct Service {
  std::string name;
  std::string target, public_ports;
  Settings* file = nullptr;
  const Node* node = nullptr;
};

Service& service_of(std::vector<Service>& services, const std::string& name) {
  for (Service& service : services) {
    if (service.name == name) return service;
  }
  services.push_back({name, {}, {}, nullptr, nullptr});
  return services.back();
}

void read_side(Settings& file, const char* side, std::vector<Service>& services) {
  const Node* table = file.root().find(side);
  const Node* list = table == nullptr ? nullptr : table->find("services");
  if (list == nullptr) return;
  file.take_all(*list);
  for (const auto& [name, node] : list->members) {
    const std::string where = fmt::format("{}.services.{}", side, name);
    const std::string type = file.take(node, "type").value_or("tcp");
    if (type != "tcp") {
      file.leave(node, where, fmt::format("type {}: only TCP can be mapped yet", escape(type, 30)));
      continue;
    }
    Service& service = service_of(services, name);
    service.file = &file;
    service.node = &node;
    if (const auto local = file.take(node, "local_addr")) service.target = *local;
    if (const auto bind = file.take(node, "bind_addr")) service.public_ports = *bind;
    file.leave_rest(node, where + ".", service_reasons());
  }
}

void add_mapping(Service& service, const std::string& agent, Imported& out) {
  const std::string where = "services." + service.name;
  if (service.public_ports.empty()) {
    service.public_ports = "auto";
    service.file->leave(*service.node, where, "the public port stands in the server's file (give both); auto is used");
  } else if (service.target.empty()) {
    const auto ports = core::PublicPorts::parse(service.public_ports);
    service.target = ports ? ports->ports().text() : "";
    service.file->leave(*service.node, where,
                        "the target stands in the client's file (give both); the same port of the agent is used");
  }
  auto mapping = make_mapping(service.public_ports, agent, service.target);
  if (!mapping) return service.file->leave(*service.node, where, mapping.error().message());
  out.mappings.push_back(std::move(*mapping));
}

}  // namespace

void import_rathole(std::vector<Settings>& files, const std::string& agent, Imported& out) {
  std::vector<Service> services;
  for (Settings& file : files) {
    read_side(file, "client", services);
    read_side(file, "server", services);
    file.leave_rest(file.root(), "", reasons());
  }
  for (Service& service : services) add_mapping(service, agent, out);
}

}  // namespace nfr::migrate
