// SPDX-License-Identifier: GPL-2.0-only
// Resolver: names to addresses without blocking the agent's loop. A look-up runs on a thread of its own; its answer
// comes back on the loop. Loop thread only, and made for the life of the process: a look-up may outlast everything.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/loop.hpp"
#include "net/address.hpp"

namespace nfr::agent {

class Resolver {
 public:
  /// kUnavailable when the name has no address now; kExhausted when too many look-ups run.
  using Done = std::function<void(Result<std::vector<net::IpAddress>>)>;

  explicit Resolver(io::Loop& loop) : loop_(loop) {}
  ~Resolver() { *alive_ = false; }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// `done` is called once, from the loop, never from inside; not at all once the resolver is gone.
  void look_up(const std::string& host, Done done);

 private:
  static constexpr unsigned kLookUpsMax = 32;
  io::Loop& loop_;
  unsigned running_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nfr::agent
