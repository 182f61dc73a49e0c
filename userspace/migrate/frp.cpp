// SPDX-License-Identifier: GPL-2.0-only
// import_frpc(), import_frps(): frp's TOML (0.52 and later) and the older INI, whose keys are the same words with
// underscores. https://github.com/fatedier/frp, conf/frpc_full_example.toml and frps_full_example.toml
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

#include "base/text.hpp"
#include "migrate/settings.hpp"

namespace nfr::migrate {
namespace {

const Reasons& client_reasons() {
  static const std::string kJoin = "the agent learns this from its join line: nfctl agent add NAME, nfagent join LINE";
  static const std::string kKey = "agents prove themselves with a key of their own, not with a shared secret";
  static const std::string kLocal = "an agent has no web page; nfctl shows its state on the relay";
  static const std::string kTransport = "Netferry's transport is one of its own; nothing is to be set";
  static const std::string kLog = "the agent logs to standard error (the journal)";
  static const Reasons kReasons = {{"serverAddr", kJoin},
                                   {"serverPort", kJoin},
                                   {"server_addr", kJoin},
                                   {"server_port", kJoin},
                                   {"auth", kKey},
                                   {"token", kKey},
                                   {"user", "used for the agent's name only when it is one"},
                                   {"webServer", kLocal},
                                   {"admin_addr", kLocal},
                                   {"admin_port", kLocal},
                                   {"admin_user", kLocal},
                                   {"admin_pwd", kLocal},
                                   {"transport", kTransport},
                                   {"protocol", kTransport},
                                   {"tls_enable", kTransport},
                                   {"pool_count", kTransport},
                                   {"tcp_mux", kTransport},
                                   {"log", kLog},
                                   {"log_file", kLog},
                                   {"log_level", kLog},
                                   {"log_max_days", kLog},
                                   {"includes", "import those files too"},
                                   {"start", "all proxies were imported; remove those that are not wanted"},
                                   {"loginFailExit", "an agent tries again until it is stopped"},
                                   {"visitors", "visitors of stcp, sudp and xtcp: Netferry maps public ports only"},
                                   {"transport.proxyURL", "set proxy in the agent's agent.toml"},
                                   {"http_proxy", "set proxy in the agent's agent.toml"}};
  return kReasons;
}

const Reasons& proxy_reasons() {
  static const std::string kRate = "Netferry does not limit bandwidth";
  static const std::string kHealth = "the target is dialled for each visitor; nfctl check tells its state";
  static const std::string kPlugin = "of frp's plugins only unix_domain_socket has a counterpart";
  static const std::string kGroup = "one public port leads to one target";
  static const std::string kPacked = "Netferry does not compress";
  static const Reasons kReasons = {{"transport.bandwidthLimit", kRate},
                                   {"transport.bandwidthLimitMode", kRate},
                                   {"bandwidth_limit", kRate},
                                   {"bandwidth_limit_mode", kRate},
                                   {"transport.useCompression", kPacked},
                                   {"use_compression", kPacked},
                                   {"healthCheck", kHealth},
                                   {"health_check_type", kHealth},
                                   {"plugin", kPlugin},
                                   {"loadBalancer", kGroup},
                                   {"group", kGroup},
                                   {"group_key", kGroup}};
  return kReasons;
}

const Reasons& server_reasons() {
  static const std::string kVirtual = "Netferry maps ports; a web server behind one tells host names apart";
  static const std::string kKey = "agents prove themselves with a key of their own, not with a shared secret";
  static const std::string kWeb = "nfctl status and nfctl maps show this";
  static const std::string kListen = "set listen in relay.toml; agents learn the port from their join lines";
  static const std::string kLog = "the relay logs to standard error (the journal)";
  static const Reasons kReasons = {{"bindPort", kListen},
                                   {"bindAddr", kListen},
                                   {"bind_port", kListen},
                                   {"bind_addr", kListen},
                                   {"vhostHTTPPort", kVirtual},
                                   {"vhostHTTPSPort", kVirtual},
                                   {"vhost_http_port", kVirtual},
                                   {"vhost_https_port", kVirtual},
                                   {"subDomainHost", kVirtual},
                                   {"subdomain_host", kVirtual},
                                   {"tcpmuxHTTPConnectPort", kVirtual},
                                   {"auth", kKey},
                                   {"token", kKey},
                                   {"webServer", kWeb},
                                   {"dashboard_port", kWeb},
                                   {"dashboard_addr", kWeb},
                                   {"dashboard_user", kWeb},
                                   {"dashboard_pwd", kWeb},
                                   {"log", kLog},
                                   {"log_file", kLog},
                                   {"log_level", kLog},
                                   {"proxyBindAddr", "name the address in each mapping: ADDRESS:PORT"},
                                   {"kcpBindPort", "agents connect over TCP with TLS 1.3"},
                                   {"quicBindPort", "agents connect over TCP with TLS 1.3"},
                                   {"transport", "Netferry's transport is one of its own; nothing is to be set"}};
  return kReasons;
}

std::string target_of(Settings& settings, const Node& proxy) {
  const auto plugin = settings.take_any(proxy, {"plugin.type", "plugin"});
  if (plugin) {
    const auto path = settings.take_any(proxy, {"plugin.unixPath", "plugin_unix_path"});
    return *plugin == "unix_domain_socket" ? "unix:" + path.value_or("") : "plugin " + *plugin;
  }
  const std::string ip = settings.take_any(proxy, {"localIP", "local_ip"}).value_or("127.0.0.1");
  const std::string port = settings.take_any(proxy, {"localPort", "local_port"}).value_or("");
  const bool bare_v6 = ip.find(':') != std::string::npos && !ip.starts_with("[");
  return bare_v6 ? "[" + ip + "]:" + port : ip + ":" + port;
}

void set_transport(Settings& settings, const Node& proxy, core::Mapping& mapping) {
  if (settings.take_any(proxy, {"transport.useEncryption", "use_encryption"}) == "true") mapping.leg = core::Leg::kTls;
  const auto version = settings.take_any(proxy, {"transport.proxyProtocolVersion", "proxy_protocol_version"});
  const auto header = core::parse_proxy_header(version.value_or("none"));
  if (header) mapping.proxy = *header;
}

void import_proxy(Settings& settings, const Node& proxy, const std::string& name, const std::string& agent,
                  Imported& out) {
  const std::string where = "proxies." + name;
  const std::string type = settings.take(proxy, "type").value_or("tcp");
  if (type != "tcp") {
    const std::string why = type == "udp" ? "UDP cannot be mapped yet"
                            : type == "http" || type == "https"
                                ? "map the port of a web server instead: host names are "
                                  "its business"
                                : "Netferry maps public TCP ports only";
    return settings.leave(proxy, where, fmt::format("type {}: {}", escape(type, 30), why));
  }
  const std::string port = settings.take_any(proxy, {"remotePort", "remote_port"}).value_or("0");
  const std::string target = target_of(settings, proxy);
  auto mapping = make_mapping(port == "0" ? "auto" : port, agent, target);
  if (!mapping) {
    const bool plugin = target.starts_with("plugin ");
    return settings.leave(
        proxy, where, plugin ? escape(target, 60) + ": " + proxy_reasons().at("plugin") : mapping.error().message());
  }
  set_transport(settings, proxy, mapping->mapping);
  out.mappings.push_back(std::move(*mapping));
  settings.leave_rest(proxy, where + ".", proxy_reasons());
}

void import_toml_proxies(Settings& settings, const std::string& agent, Imported& out) {
  const Node* proxies = settings.root().find("proxies");
  if (proxies == nullptr || proxies->kind != Node::Kind::kList) return;
  settings.take_all(*proxies);
  for (const Node& proxy : proxies->items) {
    const std::string name = settings.take(proxy, "name").value_or("?");
    import_proxy(settings, proxy, name, agent, out);
  }
}

void import_ini_proxies(Settings& settings, const std::string& agent, Imported& out) {
  constexpr std::string_view kRange = "range:";
  for (const auto& [name, section] : settings.root().members) {
    if (name == "common") continue;
    const bool visitor = settings.take(section, "role") == "visitor";
    if (visitor) {
      settings.leave(section, name, client_reasons().at("visitors"));
    } else {
      import_proxy(settings, section, name.starts_with(kRange) ? name.substr(kRange.size()) : name, agent, out);
    }
  }
}

/// "2000-3000,3001"; what is none goes into no command that people are to type.
std::vector<std::string> listed_ports(Settings& settings, const Node& top, const std::string& text) {
  std::vector<std::string> ports;
  std::istringstream items(text);
  for (std::string item; std::getline(items, item, ',');) {
    if (core::PortRange::parse(item))
      ports.push_back(item);
    else
      settings.leave(top, "allow_ports", fmt::format("no range of ports: {}", escape(item, 30)));
  }
  return ports;
}

/// [{start, end}, {single}] of TOML, "2000-3000,3001" of INI.
std::vector<std::string> allowed_ports(Settings& settings, const Node& top) {
  if (const auto text = settings.take_any(top, {"allow_ports", "allowPorts"}))
    return listed_ports(settings, top, *text);
  std::vector<std::string> ports;
  const Node* list = top.find("allowPorts");
  if (list == nullptr || list->kind != Node::Kind::kList) return {};
  settings.take_all(*list);
  for (const Node& item : list->items) {
    const auto single = settings.take(item, "single");
    const auto start = settings.take(item, "start"), end = settings.take(item, "end");
    const std::string text = single ? *single : start.value_or("") + "-" + end.value_or("");
    if (core::PortRange::parse(text))
      ports.push_back(text);
    else
      settings.leave(item, "allowPorts", "no range of ports");
  }
  return ports;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

void import_frpc(Settings& settings, const std::string& agent, Imported& out) {
  const Node* common = settings.root().find("common");
  const Node& top = common != nullptr ? *common : settings.root();
  const auto user = settings.take(top, "user");
  const std::string name = agent_name_from(user.value_or(""), agent);
  if (common != nullptr)
    import_ini_proxies(settings, name, out);
  else
    import_toml_proxies(settings, name, out);
  settings.leave_rest(top, "", client_reasons());
}

void import_frps(Settings& settings, const std::string& agent, Imported& out) {
  const Node* common = settings.root().find("common");
  const Node& top = common != nullptr ? *common : settings.root();
  std::string rights;
  if (const auto ports = allowed_ports(settings, top); !ports.empty()) {
    rights += fmt::format(" --ports {}", fmt::join(ports, ","));
  }
  const auto most = settings.take_any(top, {"maxPortsPerClient", "max_ports_per_client"});
  if (most && is_number(*most) && *most != "0") rights += " --max-mappings " + *most;
  out.commands.push_back("nfctl agent add " + agent);
  if (!rights.empty()) out.commands.push_back(fmt::format("nfctl agent set {}{}", agent, rights));
  settings.leave_rest(top, "", server_reasons());
}

}  // namespace nfr::migrate
