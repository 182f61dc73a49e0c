// SPDX-License-Identifier: GPL-2.0-only
// AgentOpening: one channel on the agent: dial the relay, TLS if the leg says so, preface, wait for START, dial the
// target, answer, then a Pair until the end. Owned by the agent's data path, on its loop's thread. Whether a target
// is allowed is decided by the callback it is given.
//
// kDialRelay -> kHandshake (tls) -> kAwaitStart -> kDialTarget -> kAnswer -> kPaired
//                                                  \-> kRefuse -> kLinger -> kClosing;   any -> kClosing by cut or
//                                                  error
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/seams.hpp"
#include "datapath/dial.hpp"
#include "datapath/pair.hpp"
#include "proto/start.hpp"
#include "transport/exact_io.hpp"
#include "transport/tls_handshake.hpp"

namespace nfr::datapath {

/// Where and as whom a channel is opened.
struct AgentChannel {
  DialPlace relay;  ///< its tunnel port, or the way to it
  core::Leg leg = core::Leg::kPlain;
  proto::ChannelName name;
  core::SessionKeys keys;
};

/// What the agent thinks of a START.
struct TargetDecision {
  std::vector<DialPlace> targets;  ///< tried in this order; none: refused
  std::string prelude;             ///< sent to the target before the visitor's first byte; at most a few hundred bytes
  proto::RefuseReason refused = proto::RefuseReason::not_allowed;
  Millis idle_timeout{0};  ///< 0: never (the relay has its own)
};

struct AgentOpeningOptions {
  Millis relay_deadline{10'000};  ///< connect and TLS, each
  Millis start_deadline{0};       ///< from preface to START; 0: waits for ever (a pooled channel)
  Millis target_deadline{5'000};
  Millis linger{5'000};  ///< for the relay to take a REFUSED
};

/// Of failed, refused and ended exactly one is called, as the last event; the opening may be destroyed inside.
class AgentFlowEvents {
 public:
  virtual ~AgentFlowEvents() = default;
  virtual void on_flow_started(const proto::Start&) {}  ///< START is genuine; a pool is one channel shorter now
  virtual void on_flow_ready(core::FlowId flow, Micros dial) = 0;
  virtual void on_channel_failed(const Error& error) = 0;  ///< no flow ever came
  virtual void on_flow_refused(core::FlowId flow, proto::RefuseReason reason) = 0;
  virtual void on_flow_ended(core::FlowId flow, core::FlowEnd end) = 0;  ///< kVisitorReset: by the channel's side
};

class AgentOpening final : private PairEvents, private transport::EndpointEvents {
 public:
  using Decide = std::function<TargetDecision(const proto::Start&)>;

  AgentOpening(io::Loop& loop, const core::Crypto& crypto, AgentChannel channel, const AgentOpeningOptions& options,
               Decide decide, AgentFlowEvents& events);
  ~AgentOpening() override;

  void start();
  /// Ends it in any state, by RST; the last event follows, not from inside.
  void cut(core::FlowEnd why);

  /// Keepalive on the connections there are: they have lived for a moment, and most never do. May be repeated.
  void keep_alive();

  const std::shared_ptr<core::FlowCounters>& counters() const { return counters_; }  ///< from the visitor's view

 private:
  enum class State { kDialRelay, kHandshake, kAwaitStart, kDialTarget, kAnswer, kPaired, kRefuse, kLinger, kClosing };
  using Exact = transport::ExactIo;
  using Outcome = std::variant<Error, proto::RefuseReason, core::FlowEnd>;

  void on_relay_dialled(Dial::Outcome outcome);
  void start_tls(Fd socket);
  void on_handshake(Result<std::unique_ptr<transport::TlsEndpoint>> result);
  void on_channel(std::unique_ptr<transport::Endpoint> channel);
  void on_start(Exact::End end);
  void dial_target();
  void on_target_dialled(Dial::Outcome outcome);
  bool send_prelude(int target) const;
  void on_ready_sent(Exact::End end);
  void refuse(proto::RefuseReason reason);
  void on_refusal_sent(Exact::End end);

  // The channel while the target is dialled and while it closes alone.
  void on_data(std::span<const std::byte>) override {}
  void on_eof() override {}
  void on_written() override {}
  void on_finished() override {}
  void on_error(int os_errno) override;
  void on_closed() override;
  void on_pair_ended(core::FlowEnd end) override;

  Outcome cut_outcome(core::FlowEnd why) const;
  void fail_exact(Exact::End end, std::string_view what);
  void close(Outcome outcome);
  void report_if_over();
  void report();

  /// What is not needed any more once the flow runs: thousands of idle ones should not pay for it.
  struct Head {
    const AgentChannel where;
    const AgentOpeningOptions options;
    const Decide decide;
    std::unique_ptr<Exact> exact;
    std::optional<proto::Start> start;
    TargetDecision decision;
    std::size_t next_target = 0;
  };

  io::Loop& loop_;
  const core::Crypto& crypto_;
  AgentFlowEvents& events_;
  std::shared_ptr<core::FlowCounters> counters_ = std::make_shared<core::FlowCounters>();

  State state_ = State::kDialRelay;
  std::optional<Outcome> outcome_;  // set once; wins over what closing brings
  std::unique_ptr<Dial> dial_;
  std::unique_ptr<transport::TlsHandshake> handshake_;
  std::unique_ptr<transport::Endpoint> channel_;
  std::unique_ptr<Pair> pair_;  // owns the channel from kAnswer on
  std::unique_ptr<Head> head_;  // null from kPaired on
  core::FlowId flow_;           // none before START
  Micros dial_time_{0};
  int channel_socket_ = -1;  // until it has keepalive; open while the opening is not closing
  int target_socket_ = -1;
};

}  // namespace nfr::datapath
