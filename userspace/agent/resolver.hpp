// SPDX-License-Identifier: GPL-2.0-only
// Resolver: names to addresses on the agent's loop, without threads: /etc/hosts and DNS, by c-ares (which only
// resolver.cpp sees). Targets and the relay's own name go through the one the process has. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/loop.hpp"
#include "net/address.hpp"

namespace nfr::agent {

struct ResolverOptions {
  /// Whom to ask; empty: the servers of /etc/resolv.conf as it is at the moment of each look-up.
  std::vector<net::Endpoint> servers;
  Millis deadline{5000};  ///< of a look-up, all servers and tries together; at least 100
};

class Resolver {
 public:
  /// Never empty. kInvalid: no host name; nothing was asked. kUnavailable: it has no address now. kTimeout: nobody
  /// answered in time. kExhausted: too many look-ups run. The text names the name and says what to do.
  using Done = std::function<void(Result<std::vector<net::IpAddress>>)>;

  /// `loop` outlives it, and runs once more after it if a look-up was running.
  explicit Resolver(io::Loop& loop, ResolverOptions options = {});
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// `done` is called once, from the loop, never from inside, and may start look-ups or destroy the resolver. Not
  /// called once the resolver is gone. `localhost` is this machine's loopback, whatever /etc/hosts lacks.
  void look_up(const std::string& host, Done done);

 private:
  static constexpr std::size_t kLookUpsMax = 32;
  class LookUp;
  class Watch;
  void watch();
  void on_ready();
  void finish(std::uint32_t number);

  io::Loop& loop_;
  const ResolverOptions options_;
  std::uint32_t last_ = 0;
  std::unique_ptr<Watch> watch_;  ///< all sockets of all look-ups; left to itself while its last poll ends
  std::unordered_map<std::uint32_t, std::unique_ptr<LookUp>> look_ups_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nfr::agent
