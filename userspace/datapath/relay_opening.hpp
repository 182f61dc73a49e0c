// SPDX-License-Identifier: GPL-2.0-only
// RelayOpening: one flow on the relay, from the moment its visitor has a channel: START, the agent's answer, then a
// Pair until the end. Owned by the data thread that accepted the visitor. The choice of mapping and channel was
// made before. Until the answer nothing is taken from the visitor (its first bytes go along with START as a copy), so a
// channel that stood ready and proves to be broken costs the visitor nothing: it is given back.
//
// kAsking -READY-> kJoined (the pair's states);  kAsking -broken, stood ready-> kLost -channel closed-> over
//         \-refused, visitor gone, cut-> kJoined (the pair ends both)
#pragma once

#include <memory>
#include <optional>

#include "core/seams.hpp"
#include "datapath/pair.hpp"
#include "io/loop.hpp"
#include "proto/refuse.hpp"
#include "proto/start.hpp"
#include "transport/exact_io.hpp"
#include "transport/tls_endpoint.hpp"

namespace nfr::datapath {

class RelayOpening;

/// Of refused, ended and over exactly one is called, as the last event: both sockets are closed then (by RST, but for
/// kFinished) and the flow may be destroyed inside.
class RelayFlowEvents {
 public:
  virtual ~RelayFlowEvents() = default;
  virtual void on_flow_ready(core::FlowId flow, Micros dial) = 0;
  virtual void on_flow_refused(core::FlowId flow, proto::RefuseReason reason) = 0;
  virtual void on_flow_ended(core::FlowId flow, core::FlowEnd end) = 0;
  /// The channel stood ready and is broken: the visitor is as it was. The flow's name may be used again from now on.
  virtual void on_channel_lost(core::FlowId flow, std::unique_ptr<transport::RawEndpoint> visitor) = 0;
  virtual void on_channel_over(RelayOpening& opening) = 0;  ///< after on_channel_lost
};

class RelayOpening final : private PairEvents, private transport::EndpointEvents {
 public:
  RelayOpening(io::Loop& loop, const core::Crypto& crypto, std::unique_ptr<transport::RawEndpoint> visitor,
               transport::Carrier channel, core::FlowSpec spec, Millis answer_deadline, RelayFlowEvents& events);

  void start();
  /// RST to both ends; on_flow_ended(why) follows unless the flow is ending already. Not after on_channel_lost.
  void cut(core::FlowEnd why) { join().cut(why); }

 private:
  Pair& join();
  void on_silence();
  void on_answer(transport::ExactIo::End end);
  void on_pair_ended(core::FlowEnd end) override;
  void refuse(proto::RefuseReason reason);
  void broken();
  bool asking() const { return !lost_ && !pair_; }
  proto::ChannelName channel_name() const;

  // The visitor while the agent is asked, the channel after it was lost.
  void on_data(std::span<const std::byte>) override {}
  void on_eof() override {}
  void on_written() override {}
  void on_finished() override {}
  void on_error(int os_errno) override;
  void on_closed() override;

  /// What is not needed any more once the flow runs: thousands of idle ones should not pay for it.
  struct Asking {
    const core::FlowSpec spec;
    const Millis answer_deadline;
    const int channel_socket;  // the channel's, for its options; open while the channel is
    transport::ExactIo exact;
    io::Timer silence;      // of a channel that stood ready
    std::size_t early = 0;  // of the visitor's bytes went behind START and are still in its socket
  };

  io::Loop& loop_;
  const core::Crypto& crypto_;
  const core::FlowId id_;
  RelayFlowEvents& events_;
  std::unique_ptr<transport::RawEndpoint> visitor_;
  std::unique_ptr<transport::Endpoint> channel_;
  std::optional<Pair> pair_;        // owns and closes both from the answer on
  std::unique_ptr<Asking> asking_;  // null once READY was read
  std::optional<proto::RefuseReason> refused_;
  bool lost_ = false;
};

}  // namespace nfr::datapath
