// SPDX-License-Identifier: GPL-2.0-only
// Flows as the agent serves them: opens channels the relay asked for, probes targets, cuts everything at the end.
// Agent's loop thread. Every address is held against the allow list here, right before it is dialled; a name before
// its channel is opened.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>

#include "agent/resolver.hpp"
#include "datapath/agent_opening.hpp"
#include "proto/message.hpp"

namespace nfr::agent {

/// A visitor as `nfagent expose` shows it.
struct VisitorNote {
  core::MappingId mapping;
  core::Target target;
  net::Endpoint visitor;
  net::Endpoint public_endpoint;                                        ///< what it dialled
  enum class What { kArrived, kLeft, kRefused } what = What::kArrived;  ///< kLeft: only after kArrived
  std::string detail;  ///< why it left or was refused; empty: both sides ended it in order
  std::uint64_t in_bytes = 0;
  std::uint64_t out_bytes = 0;
};

class Flows {
 public:
  struct Hooks {
    std::function<bool(const core::Target&)> allowed;
    /// A channel that was asked for will not come; from the loop.
    std::function<void(std::uint64_t number, proto::RefuseReason reason)> failed;
    std::function<void(const VisitorNote&)> visitor;
  };
  /// `flow_count_max`: two descriptors each.
  Flows(io::Loop& loop, Resolver& resolver, const core::Crypto& crypto, std::size_t flow_count_max, Hooks hooks);

  ~Flows();

  std::optional<proto::RefuseReason> open(const proto::Open& open, const datapath::DialPlace& relay,
                                          core::SessionId session, const core::SessionKeys& keys);
  using Probed = std::function<void(std::optional<proto::RefuseReason> refused, Micros dial)>;
  void probe(const core::Target& target, core::ProxyHeader proxy, Probed done);

  /// The session is over: channels that still wait for a visitor are reset.
  void drop_kept();
  /// Resets every flow; `done` is called from the loop once none is left.
  void stop(std::function<void()> done);
  std::size_t count() const { return flows_.size() - kept_; }
  std::size_t kept_count() const { return kept_; }  ///< channels that wait for a visitor

 private:
  class Flow;
  using Places = std::vector<datapath::DialPlace>;
  using Located = std::function<void(Result<Places>, proto::RefuseReason)>;
  void forget(std::uint64_t number);
  void keep_alive_later(std::uint64_t number);
  void keep_alive();
  /// The allowed places of a target; a name is resolved first. The reason goes with an error.
  void locate(const core::Target& target, const Located& done);
  void begin(const proto::Open& open, const datapath::AgentChannel& channel, Places places);
  void probe_next(std::shared_ptr<Places> places, std::size_t index, core::ProxyHeader proxy, Probed done);
  datapath::TargetDecision decide(const proto::Open& open, const proto::Start& start, const Places& places) const;
  std::size_t load() const { return flows_.size() + locating_; }

  io::Loop& loop_;
  Resolver& resolver_;
  const core::Crypto& crypto_;
  std::size_t flow_count_max_;
  Hooks hooks_;
  std::size_t locating_ = 0;
  std::size_t kept_ = 0;
  std::uint64_t last_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Flow>> flows_;
  std::unordered_map<std::uint64_t, std::unique_ptr<datapath::Dial>> probes_;
  std::deque<std::pair<Instant, std::uint64_t>> young_;  ///< flows by the time of their connections; some are gone
  io::Timer keep_alive_timer_;
  std::function<void()> stopped_;
};

}  // namespace nfr::agent
