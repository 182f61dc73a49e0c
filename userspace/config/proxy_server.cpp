// SPDX-License-Identifier: GPL-2.0-only
#include "config/proxy_server.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nfr::config {
namespace {

constexpr std::size_t kTextMax = 2048;

Error invalid(std::string_view why) {
  return {Code::kInvalid, fmt::format("{}; expected http://[USER:PASSWORD@]HOST:PORT, such as http://proxy.corp:3128 "
                                      "(special characters of the password as %XX)",
                                      why)};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

bool good_host(std::string_view host) {
  if (net::IpAddress::parse(host)) return true;
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), good);
}

Status read_credentials(std::string_view text, ProxyServer& proxy) {
  const std::size_t colon = text.find(':');
  const auto user = percent_decoded(text.substr(0, colon));
  const auto password = percent_decoded(colon == std::string_view::npos ? "" : text.substr(colon + 1));
  if (!user || !password) return invalid("the user or password has a '%' without two hex digits");
  // RFC 7617 section 2: a colon would move the border, a control character could end the line.
  const auto bad = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (user->find(':') != std::string::npos || std::any_of(user->begin(), user->end(), bad) ||
      std::any_of(password->begin(), password->end(), bad)) {
    return invalid("the user has a ':' or one of them a control character");
  }
  if (user->empty()) return invalid("a password needs a user");
  proxy.user = *user;
  proxy.password = *password;
  return {};
}

// "[::1]:8080", "10.0.0.0/8", "corp:443", "fd00::1" in two; the second is empty when there is none.
std::pair<std::string_view, std::string_view> split_entry(std::string_view entry) {
  if (entry.starts_with('[')) {
    const std::size_t end = std::min(entry.find(']'), entry.size() - 1);
    const std::string_view rest = entry.substr(end + 1);
    return {entry.substr(1, end - 1), rest.starts_with(':') ? rest.substr(1) : std::string_view{}};
  }
  if (std::count(entry.begin(), entry.end(), ':') != 1) return {entry, {}};
  return {entry.substr(0, entry.find(':')), entry.substr(entry.find(':') + 1)};
}

bool entry_names(std::string_view entry, std::string_view host, net::Port port) {
  if (entry == "*") return true;
  auto [place, port_text] = split_entry(entry);
  if (!port_text.empty()) {
    const auto only = net::parse_port(port_text);
    if (!only || *only != port) return false;
  }
  if (const auto address = net::IpAddress::parse(host)) {
    const auto network = net::Network::parse(place);
    return network && network->contains(*address);
  }
  while (place.starts_with('.') || place.starts_with('*')) place.remove_prefix(1);
  if (place.empty() || !host.ends_with(place)) return false;
  return host.size() == place.size() || host[host.size() - place.size() - 1] == '.';
}

}  // namespace

std::string ProxyServer::text() const {
  return host.find(':') != std::string::npos ? fmt::format("[{}]:{}", host, port.value)
                                             : fmt::format("{}:{}", host, port.value);
}

Result<ProxyServer> parse_proxy(std::string_view text) {
  if (text.size() > kTextMax) return invalid(fmt::format("a proxy of more than {} bytes", kTextMax));
  const std::size_t scheme_end = text.find("://");
  if (scheme_end != std::string_view::npos) {
    if (lower(text.substr(0, scheme_end)) != "http") return invalid("only plain HTTP proxies are spoken to");
    text.remove_prefix(scheme_end + 3);
  }
  if (text.ends_with('/')) text.remove_suffix(1);
  ProxyServer proxy;
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    if (auto status = read_credentials(text.substr(0, at), proxy); !status) return status.error();
    text.remove_prefix(at + 1);
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) return invalid("the proxy's port is missing");
  const auto port = net::parse_port(text.substr(colon + 1));
  if (!port) return invalid("the proxy's port is none");
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  proxy.host = lower(host);
  proxy.port = *port;
  if (bracketed != (proxy.host.find(':') != std::string::npos)) return invalid("an IPv6 address stands in brackets");
  if (!good_host(proxy.host)) return invalid("the proxy's host is no address and no name");
  return proxy;
}

bool no_proxy_names(std::string_view list, std::string_view host, net::Port port) {
  const std::string entries = lower(list);
  const std::string name = lower(host);
  constexpr std::string_view kBetween = ", \t";
  for (std::size_t begin = 0; begin < entries.size();) {
    const std::size_t end = std::min(entries.find_first_of(kBetween, begin), entries.size());
    const std::string_view entry = std::string_view(entries).substr(begin, end - begin);
    if (!entry.empty() && entry_names(entry, name, port)) return true;
    begin = end + 1;
  }
  return false;
}

Result<std::optional<ProxyServer>> proxy_of_environment(const Variable& variable) {
  for (const char* name : {"https_proxy", "HTTPS_PROXY"}) {
    const auto value = variable(name);
    if (!value || value->empty()) continue;
    auto proxy = parse_proxy(*value);
    if (!proxy) return proxy.error().context(name);
    return std::optional<ProxyServer>(std::move(*proxy));
  }
  return std::optional<ProxyServer>{};
}

std::string no_proxy_of_environment(const Variable& variable) {
  for (const char* name : {"no_proxy", "NO_PROXY"}) {
    if (auto value = variable(name); value && !value->empty()) return *value;
  }
  return {};
}

}  // namespace nfr::config
