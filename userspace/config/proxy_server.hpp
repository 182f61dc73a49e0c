// SPDX-License-Identifier: GPL-2.0-only
// ProxyServer: the HTTP proxy an agent in a closed network goes through, from agent.toml's `proxy` or from the
// environment. Used once at start by nfagent; pure. No text made here holds the password.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/address.hpp"

namespace nfr::config {

struct ProxyServer {
  std::string host;  ///< a name, or an address without brackets
  net::Port port;
  std::string user;          ///< decoded; empty together with password: no authentication
  std::string password;      ///< decoded
  std::string text() const;  ///< "proxy.corp:3128", without the credentials
  bool operator==(const ProxyServer&) const = default;
};

/// "http://[USER:PASSWORD@]HOST:PORT", the scheme may be missing. The error never repeats the text.
Result<ProxyServer> parse_proxy(std::string_view text);

/// Whether a NO_PROXY list names the host: "*", an address, a network, a name (and all below it), each with or without
/// ":PORT", separated by commas or spaces.
bool no_proxy_names(std::string_view list, std::string_view host, net::Port port);

/// The proxy that https_proxy or HTTPS_PROXY names; the error names the variable. no_proxy is not looked at.
using Variable = std::function<std::optional<std::string>(const std::string& name)>;
Result<std::optional<ProxyServer>> proxy_of_environment(const Variable& variable);
/// no_proxy or NO_PROXY; empty when neither is set.
std::string no_proxy_of_environment(const Variable& variable);

}  // namespace nfr::config
