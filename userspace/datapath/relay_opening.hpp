// SPDX-License-Identifier: GPL-2.0-only
// RelayOpening: one flow on the relay, from the moment its visitor has a channel: START, the agent's answer, then a
// Pair until the end. Owned by the data thread that accepted the visitor. The choice of mapping and channel was
// made before.
#pragma once

#include <memory>
#include <optional>

#include "core/seams.hpp"
#include "datapath/pair.hpp"
#include "io/loop.hpp"
#include "proto/refuse.hpp"
#include "proto/start.hpp"
#include "transport/exact_io.hpp"

namespace nfr::datapath {

/// Of refused and ended exactly one is called, as the last event: both sockets are closed then (by RST, but for
/// kFinished) and the flow may be destroyed inside.
class RelayFlowEvents {
 public:
  virtual ~RelayFlowEvents() = default;
  virtual void on_flow_ready(core::FlowId flow, Micros dial) = 0;
  virtual void on_flow_refused(core::FlowId flow, proto::RefuseReason reason) = 0;
  virtual void on_flow_ended(core::FlowId flow, core::FlowEnd end) = 0;
};

class RelayOpening final : private PairEvents {
 public:
  RelayOpening(io::Loop& loop, const core::Crypto& crypto, std::unique_ptr<transport::Endpoint> visitor,
               std::unique_ptr<transport::Endpoint> channel, core::FlowSpec spec, Millis answer_deadline,
               RelayFlowEvents& events);

  void start();
  /// RST to both ends; on_flow_ended(why) follows unless the flow is ending already.
  void cut(core::FlowEnd why) { pair_.cut(why); }

 private:
  void on_start_sent(transport::ExactIo::End end);
  void on_answer(transport::ExactIo::End end);
  void on_pair_ended(core::FlowEnd end) override;
  void refuse(proto::RefuseReason reason);

  proto::ChannelName channel_name() const { return {spec_.session, spec_.channel_kind, spec_.channel_number}; }

  const core::Crypto& crypto_;
  const core::FlowSpec spec_;
  const Millis answer_deadline_;
  RelayFlowEvents& events_;
  Pair pair_;  // closes both endpoints in every state
  transport::ExactIo exact_;
  std::optional<proto::RefuseReason> refused_;
};

}  // namespace nfr::datapath
