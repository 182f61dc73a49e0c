// SPDX-License-Identifier: GPL-2.0-only
// AllowList: which targets an agent dials, whatever the relay asks for. The agent checks it before every dial; nothing
// the relay sends can widen it. Immutable once made; thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "net/address.hpp"

namespace nfr::core {

class AllowList {
 public:
  /// This machine only: the rule "self".
  AllowList();

  /// Rules are PLACE, PLACE:PORT or PLACE:LOW-HIGH. PLACE is a network or address ("192.168.1.0/24", "fd00::/8";
  /// a bare IPv6 address with a port goes in brackets), "self" (loopback and the machine's own addresses) or "lan"
  /// (10/8, 172.16/12, 192.168/16, fc00::/7); or a rule is unix:/PATH. They replace the default: without "self" the
  /// machine itself is not allowed. No rule at all allows nothing. kInvalid names the rule.
  static Result<AllowList> parse(std::span<const std::string> rules);

  /// Ok, or kDenied with how to allow it. `own` are the addresses of the machine's interfaces now.
  /// Guarded addresses (link-local, multicast, wildcard, broadcast and the metadata services of clouds) need a rule
  /// whose network lies inside their guarded range: "0.0.0.0/0", "lan" and "self" do not open them.
  Status check(const net::Endpoint& target, std::span<const net::IpAddress> own) const;

  /// The same for a unix socket of this machine. Only a rule "unix:/PATH" allows one, or "unix:/DIRECTORY/" all below:
  /// some sockets (container engines, init) give away the whole machine.
  Status check_unix(const std::string& path) const;

  std::string text() const;  ///< the rules as written, "self, 192.168.1.0/24:80"; "nothing" for none

 private:
  struct Rule {
    std::string text;
    std::vector<net::Network> networks;
    bool self = false;
    std::string unix_path;  ///< empty: not a rule for unix sockets
    net::Port low{1};
    net::Port high{65535};
  };
  static Result<Rule> parse_rule(std::string_view text);
  static Status parse_ports(std::string_view text, Rule& rule);
  static bool matches(const Rule& rule, const net::Endpoint& target, std::span<const net::IpAddress> own);

  std::vector<Rule> rules_;
};

}  // namespace nfr::core
