// SPDX-License-Identifier: GPL-2.0-only
// RelayOpening: the handshake in front of a Pair. Runs on the data thread's loop. An answer that is late, forged or
// for another flow is a refusal with a reason of our own; the visitor gets its RST at once.
#include "datapath/relay_opening.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/assert.hpp"

namespace nfr::datapath {
namespace {

using proto::RefuseReason;
using transport::ExactIo;

// A channel that a NAT forgot answers nothing, not even on TCP: it counts as broken when START is not acknowledged.
constexpr unsigned kSilentMs = 2000;

void set_user_timeout(int socket, unsigned timeout_ms) {
  // Best effort: without it the answer's deadline is what ends a silent channel.
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

}  // namespace

RelayOpening::RelayOpening(io::Loop& loop, const core::Crypto& crypto, std::unique_ptr<transport::Endpoint> visitor,
                           transport::Carrier channel, core::FlowSpec spec, Millis answer_deadline,
                           RelayFlowEvents& events)
    : loop_(loop),
      crypto_(crypto),
      spec_(std::move(spec)),
      answer_deadline_(answer_deadline),
      events_(events),
      channel_socket_(channel.socket.get()),
      visitor_(std::move(visitor)),
      channel_(transport::make_endpoint(loop, std::move(channel), transport::kChannelOptions)),
      exact_(loop, *channel_) {}

void RelayOpening::start() {
  visitor_->set_events(this);
  visitor_->watch_reset();
  if (spec_.stood_ready) set_user_timeout(channel_socket_, kSilentMs);
  const proto::Start start{spec_.mapping, spec_.visitor, spec_.public_endpoint, spec_.id, 0};
  const auto bytes = proto::encode_start(crypto_, spec_.keys.to_agent, channel_name(), start);
  exact_.write(bytes, answer_deadline_, [this](ExactIo::End end) { on_start_sent(end); });
}

/// From here on the pair has both endpoints and all their events.
Pair& RelayOpening::join() {
  NFR_ASSERT(!lost_);
  if (!pair_) {
    pair_.emplace(loop_, std::move(visitor_), std::move(channel_), spec_.counters, spec_.idle_timeout,
                  static_cast<PairEvents&>(*this));
  }
  return *pair_;
}

void RelayOpening::on_start_sent(ExactIo::End end) {
  if (!asking()) return;
  if (end != ExactIo::End::kDone) return broken();
  exact_.read(NFR_ANSWER_BYTES, answer_deadline_, [this](ExactIo::End result) { on_answer(result); });
}

void RelayOpening::on_answer(ExactIo::End end) {
  if (!asking()) return;
  if (end == ExactIo::End::kTimeout) return refuse(RefuseReason::timeout);
  if (end != ExactIo::End::kDone) return broken();
  const auto answer = proto::decode_answer(crypto_, spec_.keys.to_relay, channel_name(), exact_.bytes());
  if (!answer || answer->flow != spec_.id) return refuse(RefuseReason::bad_answer);
  if (answer->refused) return refuse(*answer->refused);
  if (spec_.stood_ready) set_user_timeout(channel_socket_, 0);
  join().start();
  events_.on_flow_ready(spec_.id, Micros{answer->dial_us});
}

void RelayOpening::broken() {
  if (!spec_.stood_ready) return refuse(RefuseReason::bad_answer);
  lost_ = true;
  exact_.abandon();
  channel_->set_events(this);
  channel_->close(transport::CloseMode::kReset);
  events_.on_channel_lost(spec_.id, std::move(visitor_));
}

void RelayOpening::refuse(RefuseReason reason) {
  refused_ = reason;
  join().cut(core::FlowEnd::kAgentReset);
}

void RelayOpening::on_error(int) {
  if (asking()) join().cut(core::FlowEnd::kVisitorReset);
}

void RelayOpening::on_closed() { events_.on_channel_over(*this); }

void RelayOpening::on_pair_ended(core::FlowEnd end) {
  exact_.abandon();
  if (refused_) return events_.on_flow_refused(spec_.id, *refused_);
  events_.on_flow_ended(spec_.id, end);
}

}  // namespace nfr::datapath
