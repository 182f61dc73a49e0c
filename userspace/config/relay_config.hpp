// SPDX-License-Identifier: GPL-2.0-only
// RelayConfig: everything relay.toml can say, validated. Read once at start by nfrelayd (holder and relay) and not
// changed afterwards. Each member is a key of the same name, with its default here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/io_choice.hpp"
#include "base/result.hpp"
#include "config/directories.hpp"
#include "net/address.hpp"

namespace nfr::config {

inline constexpr std::size_t kPublicHostsMax = 8;  ///< a join line holds no more

/// Table [limits].
struct RelayLimits {
  unsigned handshake_count_max = 256;  ///< unauthenticated connections at once; 1..65536
  unsigned flow_count_max = 200'000;   ///< running flows; 1..10000000
  unsigned pool_count_max = 512;       ///< channels that stand ready; 0..100000, 0: none
};

struct RelayConfig {
  /// The tunnel port. The wildcard address means all addresses, both families. Never empty, no duplicates.
  std::vector<net::Endpoint> listen{net::Endpoint{net::IpAddress{}, net::Port{7707}}};
  /// IP addresses or DNS names without port, as agents and visitors reach the relay. Empty: found by the caller.
  std::vector<std::string> public_hosts;  ///< key `public`
  std::optional<std::string> user;        ///< of the relay process; never root
  unsigned workers = 0;                   ///< data threads, 1..64; 0: chosen by worker_count()
  Millis heartbeat{5000};                 ///< key heartbeat_ms, 100..60000
  Millis handshake_timeout{5000};         ///< key handshake_timeout_ms, 100..60000: from accept to authenticated
  Millis open_timeout{10'000};            ///< key open_timeout_ms, 100..120000: a visitor waits so long for its channel
  Millis agent_grace{3000};               ///< key agent_grace_ms, 0..60000: visitors wait so long for an absent agent
  Millis pool_age{60'000};                ///< key pool_age_ms, 1000..600000: a ready channel is replaced after that
  IoChoice io = IoChoice::kAuto;          ///< key io
  RelayLimits limits;
  PathKeys paths;

  /// `workers`, or without it the number of cores, at most 4, at least 1.
  unsigned worker_count(unsigned core_count) const;
};

/// `file` is the name used in errors. kInvalid names file, line, key, value and what was expected.
Result<RelayConfig> parse_relay_config(std::string_view text, const std::string& file);
Result<RelayConfig> load_relay_config(const ConfigFile& file);

}  // namespace nfr::config
