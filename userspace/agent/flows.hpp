// SPDX-License-Identifier: GPL-2.0-only
// Flows as the agent serves them: opens channels the relay asked for, probes targets, cuts everything at the end.
// Agent's loop thread. Which target an OPEN may reach was decided before and is checked again at START.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "datapath/agent_opening.hpp"
#include "proto/message.hpp"

namespace nfr::agent {

class Flows {
 public:
  using Allowed = std::function<bool(const core::Target&)>;
  /// `flow_count_max`: two descriptors each.
  Flows(io::Loop& loop, const core::Crypto& crypto, std::size_t flow_count_max, Allowed allowed);

  ~Flows();

  std::optional<proto::RefuseReason> open(const proto::Open& open, const net::Endpoint& relay, core::SessionId session,
                                          const core::SessionKeys& keys);
  using Probed = std::function<void(std::optional<proto::RefuseReason> refused, Micros dial)>;
  void probe(const core::Target& target, Probed done);

  /// Resets every flow; `done` is called from the loop once none is left.
  void stop(std::function<void()> done);
  std::size_t count() const { return flows_.size(); }

 private:
  class Flow;
  void forget(std::uint64_t number);
  datapath::TargetDecision decide(const proto::Open& open, const proto::Start& start) const;

  io::Loop& loop_;
  const core::Crypto& crypto_;
  std::size_t flow_count_max_;
  Allowed allowed_;
  std::uint64_t last_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Flow>> flows_;
  std::unordered_map<std::uint64_t, std::unique_ptr<datapath::Dial>> probes_;
  std::function<void()> stopped_;
};

}  // namespace nfr::agent
