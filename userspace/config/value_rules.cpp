// SPDX-License-Identifier: GPL-2.0-only
#include "config/value_rules.hpp"

#include <algorithm>
#include <optional>

#include "config/toml_reader.hpp"

namespace nfr::config {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// One label of a host name, RFC 1123 section 2.1.
bool is_label(std::string_view label) {
  if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(), [](char c) { return is_letter(c) || is_digit(c) || c == '-'; });
}

bool is_dns_name(std::string_view text) {
  if (text.size() > 253) return false;
  std::string_view last;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    last = text.substr(begin, end - begin);
    if (!is_label(last)) return false;
    begin = end + 1;
  }
  // "300.1.2.3" is a mistyped address, not a name.
  return !std::all_of(last.begin(), last.end(), is_digit);
}

}  // namespace

Result<net::Endpoint> parse_listen(std::string_view text) {
  if (text.find(':') == std::string_view::npos) {
    const auto port = net::parse_port(text);
    if (!port)
      return Error(Code::kInvalid, "expected a port from 1 to 65535, or ADDRESS:PORT such as 203.0.113.5:7707");
    return net::Endpoint{net::IpAddress{}, *port};
  }
  auto endpoint = net::Endpoint::parse(text);
  if (!endpoint) return endpoint.error().context("expected a port, or ADDRESS:PORT");
  if (endpoint->address.is_multicast()) return Error(Code::kInvalid, "a multicast address cannot be listened on");
  if (endpoint->address.is_wildcard()) endpoint->address = net::IpAddress{};  // "[::]" also means both families
  return *endpoint;
}

Result<std::string> parse_public_host(std::string_view text) {
  if (const auto address = net::IpAddress::parse(text)) {
    if (!address->is_wildcard() && !address->is_multicast()) return address->text();
    return Error(Code::kInvalid, "nobody can connect to this address; expected the relay's public one");
  }
  constexpr std::size_t kNameMax = 240;  // with its port it must fit a join line
  if (is_dns_name(text) && text.size() <= kNameMax) return std::string(text);
  return Error(Code::kInvalid, "expected an IP address or a DNS name, without port, such as 203.0.113.5");
}

Result<std::string> parse_user(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 32 && text.front() != '-' &&
                    std::all_of(text.begin(), text.end(),
                                [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.'; });
  if (!good) return Error(Code::kInvalid, "expected a user name, such as netferry");
  if (text == "root" || text.find_first_not_of('0') == std::string_view::npos) {
    return Error(Code::kInvalid, "the process that talks to the network must not be root; expected a user of its own");
  }
  return std::string(text);
}

Result<std::string> parse_directory(std::string_view text) {
  const bool good = text.starts_with('/') && text.find('\0') == std::string_view::npos;
  if (!good) return Error(Code::kInvalid, "expected an absolute path, beginning with /");
  return std::string(text);
}

void read_io(TomlReader& reader, IoChoice& into) {
  reader.text("io", [&](std::string_view text) -> Status {
    const auto choice = parse_io_choice(text);
    if (!choice) return choice.error();
    into = *choice;
    return {};
  });
}

void read_path_keys(TomlReader& reader, PathKeys& paths) {
  const auto into = [](std::optional<std::string>& out) {
    return [&out](std::string_view text) -> Status {
      auto path = parse_directory(text);
      if (!path) return path.error();
      out = std::move(*path);
      return {};
    };
  };
  reader.text("state_dir", into(paths.state_dir));
  reader.text("run_dir", into(paths.run_dir));
  reader.text("bpffs_dir", into(paths.bpffs_dir));
  reader.text("socket", into(paths.socket));
}

}  // namespace nfr::config
