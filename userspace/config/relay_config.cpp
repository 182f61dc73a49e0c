// SPDX-License-Identifier: GPL-2.0-only
#include "config/relay_config.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/config_file.hpp"
#include "config/toml_reader.hpp"
#include "config/value_rules.hpp"

namespace nfr::config {
namespace {

/// Two listeners on one port collide when they are equal or when one is the wildcard.
bool collide(const net::Endpoint& a, const net::Endpoint& b) {
  return a.port == b.port && (a.address == b.address || a.address.is_wildcard() || b.address.is_wildcard());
}

void read_listen(TomlReader& reader, RelayConfig& config) {
  std::vector<net::Endpoint> listen;
  const auto count = reader.list("listen", TomlReader::Items::kStringsOrIntegers, [&](std::string_view text) -> Status {
    const auto endpoint = parse_listen(text);
    if (!endpoint) return endpoint.error();
    for (const auto& other : listen) {
      if (collide(*endpoint, other)) return Error(Code::kInvalid, "this port is taken by an entry before it");
    }
    listen.push_back(*endpoint);
    return {};
  });
  if (!count) return;
  if (*count == 0) reader.problem("listen", "expected at least one port or ADDRESS:PORT");
  config.listen = std::move(listen);
}

void read_public(TomlReader& reader, RelayConfig& config) {
  reader.list("public", TomlReader::Items::kStrings, [&](std::string_view text) -> Status {
    const auto host = parse_public_host(text);
    if (!host) return host.error();
    auto& hosts = config.public_hosts;
    if (hosts.size() == kPublicHostsMax) {
      return Error(Code::kInvalid, fmt::format("more than {} entries; agents try each in turn", kPublicHostsMax));
    }
    if (std::find(hosts.begin(), hosts.end(), *host) != hosts.end()) return Error(Code::kInvalid, "listed twice");
    hosts.push_back(*host);
    return {};
  });
}

}  // namespace

unsigned RelayConfig::worker_count(unsigned core_count) const {
  return workers != 0 ? workers : std::clamp(core_count, 1u, 4u);
}

Result<RelayConfig> parse_relay_config(std::string_view text, const std::string& file) {
  auto reader = TomlReader::parse(text, file);
  if (!reader) return reader.error();
  RelayConfig config;
  read_listen(*reader, config);
  read_public(*reader, config);
  reader->text("user", [&](std::string_view name) -> Status {
    const auto user = parse_user(name);
    if (!user) return user.error();
    config.user = *user;
    return {};
  });
  reader->integer("workers", 0, 64, config.workers);
  reader->millis("heartbeat_ms", 100, 60'000, config.heartbeat);
  reader->millis("handshake_timeout_ms", 100, 60'000, config.handshake_timeout);
  reader->millis("open_timeout_ms", 100, 120'000, config.open_timeout);
  reader->millis("agent_grace_ms", 0, 60'000, config.agent_grace);
  reader->millis("pool_age_ms", 1000, 600'000, config.pool_age);
  read_io(*reader, config.io);
  read_path_keys(*reader, config.paths);
  reader->integer("limits.handshake_count_max", 1, 65'536, config.limits.handshake_count_max);
  reader->integer("limits.flow_count_max", 1, 10'000'000, config.limits.flow_count_max);
  reader->integer("limits.pool_count_max", 0, 100'000, config.limits.pool_count_max);
  if (auto status = reader->finish(); !status) return status.error();
  return config;
}

Result<RelayConfig> load_relay_config(const ConfigFile& file) {
  const auto text = read_config_file(file);
  if (!text) return text.error();
  return parse_relay_config(*text, file.path);
}

}  // namespace nfr::config
