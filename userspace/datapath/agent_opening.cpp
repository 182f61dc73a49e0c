// SPDX-License-Identifier: GPL-2.0-only
// AgentOpening: the steps from an idle agent to a joined pair. Runs on the agent's data loop. Every step can fail,
// be cut or time out; all of them end in close() and one last event.
#include "datapath/agent_opening.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/assert.hpp"
#include "net/tcp_options.hpp"

namespace nfr::datapath {

using core::FlowEnd;
using proto::RefuseReason;
using transport::CloseMode;

AgentOpening::AgentOpening(io::Loop& loop, const core::Crypto& crypto, AgentChannel channel,
                           const AgentOpeningOptions& options, Decide decide, AgentFlowEvents& events)
    : loop_(loop),
      crypto_(crypto),
      events_(events),
      head_(new Head{std::move(channel), options, std::move(decide), nullptr, std::nullopt, {}, 0}) {}

AgentOpening::~AgentOpening() = default;

void AgentOpening::start() {
  dial_ = std::make_unique<Dial>(loop_, [this](Dial::Outcome outcome) { on_relay_dialled(std::move(outcome)); });
  dial_->start(head_->where.relay, head_->options.relay_deadline);
}

void AgentOpening::on_relay_dialled(Dial::Outcome outcome) {
  dial_.reset();
  if (outcome_) return report();  // cut meanwhile
  if (outcome.os_errno != 0) {
    return close(outcome.error(fmt::format("channel to {}", head_->where.relay.endpoint.text())));
  }
  channel_socket_ = outcome.socket.get();
  if (head_->where.leg == core::Leg::kTls) return start_tls(std::move(outcome.socket));
  on_channel(transport::RawEndpoint::adopt(loop_, std::move(outcome.socket)));
}

void AgentOpening::start_tls(Fd socket) {
  state_ = State::kHandshake;
  const core::Key psk = tls::channel_psk(crypto_, head_->where.keys, head_->where.name.number);
  auto context =
      tls::Context::agent_channel(proto::psk_identity(head_->where.name.session, head_->where.name.number), psk);
  if (!context) return close(context.error());
  auto engine = tls::Engine::create(*context);
  if (!engine) return close(engine.error());
  auto raw = transport::RawEndpoint::adopt(loop_, std::move(socket));
  handshake_ = std::make_unique<transport::TlsHandshake>(
      loop_, std::move(raw), std::move(*engine),
      [this](Result<std::unique_ptr<transport::TlsEndpoint>> result) { on_handshake(std::move(result)); });
  handshake_->start(head_->options.relay_deadline);
}

void AgentOpening::on_handshake(Result<std::unique_ptr<transport::TlsEndpoint>> result) {
  handshake_.reset();
  if (outcome_) return report();  // cut: the handshake has closed the socket
  if (!result) return close(result.error().context(fmt::format("channel to {}", head_->where.relay.endpoint.text())));
  on_channel(std::move(*result));
}

void AgentOpening::on_channel(std::unique_ptr<transport::Endpoint> channel) {
  state_ = State::kAwaitStart;
  channel_ = std::move(channel);
  head_->exact = std::make_unique<Exact>(loop_, *channel_);
  const auto preface = proto::encode_preface(crypto_, head_->where.keys.to_relay, head_->where.name);
  head_->exact->exchange(preface, NFR_START_BYTES, head_->options.start_deadline,
                         [this](Exact::End end) { on_start(end); });
}

void AgentOpening::on_start(Exact::End end) {
  if (end != Exact::End::kDone) return fail_exact(end, "waiting for START");
  auto start = proto::decode_start(crypto_, head_->where.keys.to_agent, head_->where.name, head_->exact->bytes());
  // Not answered: whoever sent it does not hold the session's keys, or does not keep the protocol.
  if (!start) return close(start.error());
  head_->start = *start;
  flow_ = start->flow;
  events_.on_flow_started(*head_->start);
  if (state_ == State::kClosing) return;  // cut from inside
  head_->decision = head_->decide(*head_->start);
  if (head_->decision.targets.empty()) return refuse(head_->decision.refused);
  state_ = State::kDialTarget;
  channel_->set_events(this);
  channel_->watch_reset();  // a visitor that goes away ends the dialling
  dial_target();
}

void AgentOpening::dial_target() {
  const DialPlace& target = head_->decision.targets[head_->next_target++];
  dial_ = std::make_unique<Dial>(loop_, [this](Dial::Outcome outcome) { on_target_dialled(std::move(outcome)); });
  dial_->start(target, head_->options.target_deadline);
}

void AgentOpening::on_target_dialled(Dial::Outcome outcome) {
  dial_.reset();
  if (outcome_) return report_if_over();
  dial_time_ = outcome.took;
  if (outcome.os_errno != 0 && head_->next_target < head_->decision.targets.size()) return dial_target();
  if (outcome.os_errno != 0) return refuse(proto::refuse_from_errno(outcome.os_errno));
  if (!send_prelude(outcome.socket.get())) return refuse(RefuseReason::target_error);
  state_ = State::kAnswer;
  target_socket_ = outcome.socket.get();
  auto target = transport::RawEndpoint::adopt(loop_, std::move(outcome.socket));
  transport::Endpoint& channel = *channel_;
  pair_ = std::make_unique<Pair>(loop_, std::move(channel_), std::move(target), counters_, head_->decision.idle_timeout,
                                 static_cast<PairEvents&>(*this));
  head_->exact = std::make_unique<Exact>(loop_, channel);
  const auto dial_us = std::min<std::int64_t>(dial_time_.count(), std::numeric_limits<std::uint32_t>::max());
  const proto::Answer ready{flow_, std::nullopt, static_cast<std::uint32_t>(dial_us)};
  head_->exact->write(proto::encode_answer(crypto_, head_->where.keys.to_relay, head_->where.name, ready),
                      head_->options.relay_deadline, [this](Exact::End end) { on_ready_sent(end); });
}

/// At once: the send buffer of a new connection is empty and holds much more than a prelude.
bool AgentOpening::send_prelude(int target) const {
  const std::string& bytes = head_->decision.prelude;
  if (bytes.empty()) return true;
  return ::send(target, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(bytes.size());
}

void AgentOpening::on_ready_sent(Exact::End end) {
  if (pair_->ending()) return;
  if (end != Exact::End::kDone) return pair_->cut(FlowEnd::kVisitorReset);
  state_ = State::kPaired;
  pair_->start();
  head_.reset();
  events_.on_flow_ready(flow_, dial_time_);
}

void AgentOpening::keep_alive() {
  if (state_ == State::kClosing || (pair_ && pair_->ending())) return;
  if (channel_socket_ >= 0) net::set_keepalive(std::exchange(channel_socket_, -1), net::kChannelKeepalive);
  if (target_socket_ >= 0) net::set_keepalive(std::exchange(target_socket_, -1), net::kVisitorKeepalive);
}

void AgentOpening::refuse(RefuseReason reason) {
  state_ = State::kRefuse;
  outcome_ = reason;
  const proto::Answer refused{flow_, reason, 0};
  head_->exact->write(proto::encode_answer(crypto_, head_->where.keys.to_relay, head_->where.name, refused),
                      head_->options.linger, [this](Exact::End end) { on_refusal_sent(end); });
}

/// The relay closes a refused channel; an RST from here could overtake the answer's retransmission. What the visitor
/// said early is read, or closing would be that RST.
void AgentOpening::on_refusal_sent(Exact::End end) {
  if (end != Exact::End::kDone) return close(*outcome_);
  state_ = State::kLinger;
  head_->exact->read(NFR_EARLY_BYTES_MAX + 1, head_->options.linger, [this](Exact::End) { close(*outcome_); });
}

void AgentOpening::on_error(int) {
  if (state_ != State::kClosing) close(FlowEnd::kVisitorReset);
}

AgentOpening::Outcome AgentOpening::cut_outcome(FlowEnd why) const {
  if (outcome_) return *outcome_;
  if (head_->start) return why;
  return Error(Code::kUnavailable, "channel cut before a visitor came");
}

void AgentOpening::cut(FlowEnd why) {
  if (state_ == State::kClosing) return;
  if (pair_) return pair_->cut(why);
  if (!channel_) {
    outcome_ = cut_outcome(why);
    state_ = State::kClosing;
    if (dial_) return dial_->cancel();
    return handshake_->cancel();
  }
  close(cut_outcome(why));
}

void AgentOpening::fail_exact(Exact::End end, std::string_view what) {
  switch (end) {
    case Exact::End::kTimeout: return close(Error(Code::kTimeout, fmt::format("{}: no answer", what)));
    case Exact::End::kError: return close(Error::system(what, head_->exact->os_errno()));
    default: return close(Error(Code::kUnavailable, fmt::format("{}: the relay closed the channel", what)));
  }
}

/// For every state without a pair, not from inside a call of the owner when nothing is open.
void AgentOpening::close(Outcome outcome) {
  NFR_ASSERT(!pair_);
  if (!outcome_) outcome_ = std::move(outcome);
  state_ = State::kClosing;
  if (dial_) dial_->cancel();
  if (!channel_) return report_if_over();
  if (head_->exact) head_->exact->abandon();
  channel_->set_events(this);
  channel_->close(CloseMode::kReset);
}

void AgentOpening::on_closed() {
  channel_.reset();
  report_if_over();
}

void AgentOpening::report_if_over() {
  if (!dial_ && !channel_) report();
}

void AgentOpening::on_pair_ended(FlowEnd end) {
  if (head_) head_->exact->abandon();
  outcome_ = end;
  report();
}

void AgentOpening::report() {
  state_ = State::kClosing;
  const Outcome outcome = std::move(*outcome_);
  if (const Error* error = std::get_if<Error>(&outcome)) return events_.on_channel_failed(*error);
  if (const auto* reason = std::get_if<RefuseReason>(&outcome)) return events_.on_flow_refused(flow_, *reason);
  events_.on_flow_ended(flow_, std::get<FlowEnd>(outcome));
}

}  // namespace nfr::datapath
