// SPDX-License-Identifier: GPL-2.0-only
// The URL of an HTTP proxy and a NO_PROXY list, from agent.toml or the environment. First line: the URL; the rest: the
// list. Neither the proxy's name nor an error shows the password.
#include "config/proxy_server.hpp"

#include "fuzz/target.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const std::size_t end = std::min(input.find('\n'), input.size());
  const auto proxy = config::parse_proxy(input.substr(0, end));
  const std::string_view list = input.substr(std::min(end + 1, input.size()));
  const bool named = config::no_proxy_names(list, "relay.example.net", net::Port{7707});
  NFR_HOLDS(config::no_proxy_names(std::string(list) + ",relay.example.net", "relay.example.net", net::Port{7707}));
  NFR_HOLDS(!named || !list.empty());
  config::no_proxy_names(list, "2001:db8::1", net::Port{7707});
  const auto secret = config::parse_proxy("http://user:Xyzzy" + std::string(input.substr(0, end)));
  if (!secret) NFR_HOLDS(secret.error().message().find("Xyzzy") == std::string::npos);
  if (!proxy) return NFR_HOLDS(printable(proxy.error().message()));
  NFR_HOLDS(printable(proxy->text()) && proxy->port.value != 0 && !proxy->host.empty());
  const auto again = config::parse_proxy("http://" + proxy->text());
  NFR_HOLDS(again && again->host == proxy->host && again->port == proxy->port && again->password.empty());
}
