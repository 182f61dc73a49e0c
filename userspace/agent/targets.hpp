// SPDX-License-Identifier: GPL-2.0-only
// Which targets this machine lets the relay reach: agent.toml's allow_targets and what `nfagent allow` added, held
// against the machine's addresses of this moment. Agent's loop thread.
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "core/allow_list.hpp"
#include "core/target.hpp"

namespace nfr::agent {

class Targets {
 public:
  Targets(core::AllowList configured, std::string state_dir, const Clock& clock)
      : configured_(std::move(configured)), state_dir_(std::move(state_dir)), clock_(clock) {}

  bool allowed(const net::Endpoint& target);
  bool allowed_unix(const std::string& path);
  /// A name is allowed here, and judged by its addresses once it is resolved.
  bool allowed(const core::Target& target);
  /// The same with words for people: what to type to allow it.
  Status check(const core::Target& target);

 private:
  void refresh();

  core::AllowList configured_;
  std::string state_dir_;
  const Clock& clock_;
  core::AllowList added_;
  bool has_added_ = false;
  std::string complaint_;  ///< said already
  std::vector<net::IpAddress> own_;
  Instant next_refresh_{};
};

}  // namespace nfr::agent
