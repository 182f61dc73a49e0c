// SPDX-License-Identifier: GPL-2.0-only
// RelayOpening: the handshake in front of a Pair. Runs on the data thread's loop. An answer that is late, forged or
// for another flow is a refusal with a reason of our own; the visitor gets its RST at once.
#include "datapath/relay_opening.hpp"

namespace nfr::datapath {

using proto::RefuseReason;
using transport::ExactIo;

RelayOpening::RelayOpening(io::Loop& loop, const core::Crypto& crypto, std::unique_ptr<transport::Endpoint> visitor,
                           std::unique_ptr<transport::Endpoint> channel, core::FlowSpec spec, Millis answer_deadline,
                           RelayFlowEvents& events)
    : crypto_(crypto),
      spec_(std::move(spec)),
      answer_deadline_(answer_deadline),
      events_(events),
      pair_(loop, std::move(visitor), std::move(channel), spec_.counters, spec_.idle_timeout, *this),
      exact_(loop, pair_.target()) {}

void RelayOpening::start() {
  pair_.watch_visitor();
  const proto::Start start{spec_.mapping, spec_.visitor, spec_.public_endpoint, spec_.id, 0};
  const auto bytes = proto::encode_start(crypto_, spec_.keys.to_agent, channel_name(), start);
  exact_.write(bytes, answer_deadline_, [this](ExactIo::End end) { on_start_sent(end); });
}

void RelayOpening::on_start_sent(ExactIo::End end) {
  if (pair_.ending()) return;
  if (end != ExactIo::End::kDone) return refuse(RefuseReason::bad_answer);
  exact_.read(NFR_ANSWER_BYTES, answer_deadline_, [this](ExactIo::End result) { on_answer(result); });
}

void RelayOpening::on_answer(ExactIo::End end) {
  if (pair_.ending()) return;
  if (end == ExactIo::End::kTimeout) return refuse(RefuseReason::timeout);
  if (end != ExactIo::End::kDone) return refuse(RefuseReason::bad_answer);
  const auto answer = proto::decode_answer(crypto_, spec_.keys.to_relay, channel_name(), exact_.bytes());
  if (!answer || answer->flow != spec_.id) return refuse(RefuseReason::bad_answer);
  if (answer->refused) return refuse(*answer->refused);
  pair_.start();
  events_.on_flow_ready(spec_.id, Micros{answer->dial_us});
}

void RelayOpening::refuse(RefuseReason reason) {
  refused_ = reason;
  pair_.cut(core::FlowEnd::kAgentReset);
}

void RelayOpening::on_pair_ended(core::FlowEnd end) {
  exact_.abandon();
  if (refused_) return events_.on_flow_refused(spec_.id, *refused_);
  events_.on_flow_ended(spec_.id, end);
}

}  // namespace nfr::datapath
