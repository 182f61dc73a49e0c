// SPDX-License-Identifier: GPL-2.0-only
// RelayOpening: the handshake in front of a Pair. Runs on the data thread's loop. An answer that is late, forged or
// for another flow is a refusal with a reason of our own; the visitor gets its RST at once.
#include "datapath/relay_opening.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace nfr::datapath {
namespace {

using proto::RefuseReason;
using transport::ExactIo;

// A channel that a NAT forgot answers nothing, not even on TCP: it counts as broken when START is not acknowledged.
constexpr Millis kSilent{2000};

std::optional<tcp_info> info_of(int socket) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return std::nullopt;
  return info;
}

bool unacknowledged(int socket) {
  const auto info = info_of(socket);
  return !info || info->tcpi_unacked > 0;
}

bool established(int socket) {
  const auto info = info_of(socket);
  return info && info->tcpi_state == TCP_ESTABLISHED;
}

}  // namespace

RelayOpening::RelayOpening(io::Loop& loop, const core::Crypto& crypto, std::unique_ptr<transport::RawEndpoint> visitor,
                           transport::Carrier channel, core::FlowSpec spec, Millis answer_deadline,
                           RelayFlowEvents& events)
    : loop_(loop), crypto_(crypto), id_(spec.id), events_(events), visitor_(std::move(visitor)) {
  const int socket = channel.socket.get();
  channel_ = transport::make_endpoint(loop, std::move(channel));
  asking_.reset(new Asking{std::move(spec), answer_deadline, socket, ExactIo(loop, *channel_),
                           io::Timer(loop, [this] { on_silence(); }), 0});
}

proto::ChannelName RelayOpening::channel_name() const {
  return {asking_->spec.session, asking_->spec.channel_kind, asking_->spec.channel_number};
}

void RelayOpening::start() {
  visitor_->set_events(this);
  visitor_->watch_reset();
  const core::FlowSpec& spec = asking_->spec;
  if (spec.stood_ready) asking_->silence.arm(kSilent);
  const proto::Start start{spec.mapping, spec.visitor, spec.public_endpoint, spec.id, 0};
  const auto bytes = proto::encode_start(crypto_, spec.keys.to_agent, channel_name(), start);
  const std::string early =
      spec.early && established(asking_->channel_socket) ? visitor_->peek(NFR_EARLY_BYTES_MAX) : std::string();
  asking_->early = early.size();
  asking_->exact.exchange(as_bytes(std::string(as_text(bytes)) + early), NFR_ANSWER_BYTES, asking_->answer_deadline,
                          [this](ExactIo::End end) { on_answer(end); });
}

/// From here on the pair has both endpoints and all their events.
Pair& RelayOpening::join() {
  NFR_ASSERT(!lost_);
  if (!pair_) {
    pair_.emplace(loop_, std::move(visitor_), std::move(channel_), asking_->spec.counters, asking_->spec.idle_timeout,
                  static_cast<PairEvents&>(*this));
  }
  return *pair_;
}

void RelayOpening::on_silence() {
  if (asking() && unacknowledged(asking_->channel_socket)) broken();
}

void RelayOpening::on_answer(ExactIo::End end) {
  if (!asking()) return;
  if (end == ExactIo::End::kTimeout) return refuse(RefuseReason::timeout);
  if (end != ExactIo::End::kDone) return broken();
  const core::FlowSpec& spec = asking_->spec;
  const auto answer = proto::decode_answer(crypto_, spec.keys.to_relay, channel_name(), asking_->exact.bytes());
  if (!answer || answer->flow != id_) return refuse(RefuseReason::bad_answer);
  if (answer->refused) return refuse(*answer->refused);
  if (asking_->early > 0 && !visitor_->skip(asking_->early)) return join().cut(core::FlowEnd::kVisitorReset);
  spec.counters->in_bytes.fetch_add(asking_->early, std::memory_order_relaxed);
  join().start();
  asking_.reset();
  events_.on_flow_ready(id_, Micros{answer->dial_us});
}

void RelayOpening::broken() {
  if (!asking_->spec.stood_ready || asking_->early > 0) return refuse(RefuseReason::bad_answer);
  lost_ = true;
  asking_->silence.disarm();
  asking_->exact.abandon();
  channel_->set_events(this);
  channel_->close(transport::CloseMode::kReset);
  events_.on_channel_lost(id_, std::move(visitor_));
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
  if (asking_) asking_->exact.abandon();
  if (refused_) return events_.on_flow_refused(id_, *refused_);
  events_.on_flow_ended(id_, end);
}

}  // namespace nfr::datapath
