// SPDX-License-Identifier: GPL-2.0-only
#include "control/agent.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "nfr/wire/wire.h"

namespace nfr::control {
namespace {

constexpr int kMissedHeartbeats = 3;
constexpr std::chrono::seconds kGreetingTimeout{5};

}  // namespace

void Agent::start() { dial(); }

void Agent::dial() {
  state_ = State::kDialling;
  dial_started_ = clock_.now();
  world_.dial_relay(settings_.addresses[next_address_]);
}

void Agent::on_connected(core::AgentLink& link, const core::SessionKeys& keys) {
  link_ = &link;
  if (state_ != State::kDialling) return link.close();  // stopped meanwhile
  keys_ = keys;
  state_ = State::kGreeting;
  last_heard_ = last_ping_ = clock_.now();
  close_reason_.clear();
  close_retry_.reset();
  link_->send(proto::encode(
      proto::Hello{{}, settings_.instance, settings_.software, settings_.leg_min, settings_.enroll, true}));
}

void Agent::on_dial_failed(std::string_view reason) {
  if (state_ != State::kDialling) return;
  next_address_ = (next_address_ + 1) % settings_.addresses.size();
  retry(reason);
}

// Exponential with full jitter: 200 agents of a restarted relay must not come back in one instant.
void Agent::retry(std::string_view reason, std::optional<Millis> fixed) {
  state_ = State::kIdle;
  const Millis ceiling = std::min(settings_.reconnect_max, settings_.reconnect_min * (1U << std::min(failures_, 10U)));
  ++failures_;
  const auto span = static_cast<std::uint64_t>(std::max<Millis::rep>(ceiling.count(), 1));
  const Millis wait = fixed ? *fixed : Millis{static_cast<Millis::rep>(span / 2 + random_.below(span / 2 + 1))};
  next_dial_ = clock_.now() + wait;
  world_.disconnected(std::string(reason), wait);
}

void Agent::tick() {
  const Instant now = clock_.now();
  if (state_ == State::kIdle && now >= next_dial_) return dial();
  if (state_ == State::kGreeting && now - last_heard_ > kGreetingTimeout)
    return close("the relay did not answer the hello");
  if (state_ != State::kActive) return;
  if (now - last_heard_ > heartbeat_ * kMissedHeartbeats) {
    return close(fmt::format("the relay is silent for {}", human_duration(heartbeat_ * kMissedHeartbeats)));
  }
  if (now - last_ping_ < heartbeat_) return;
  last_ping_ = now;
  link_->send(proto::encode(proto::Ping{static_cast<std::uint64_t>(now.time_since_epoch().count())}));
}

void Agent::close(std::string_view reason) {
  if (state_ == State::kClosing) return;
  state_ = State::kClosing;
  close_reason_ = reason;
  link_->close();
}

void Agent::stop() {
  if (state_ == State::kActive || state_ == State::kGreeting) {
    link_->send(proto::encode(proto::Bye{proto::ByeCode::kStopping, "the agent stops"}));
    link_->close();
  }
  state_ = State::kStopped;
}

void Agent::on_link_closed(std::string_view reason) {
  link_ = nullptr;
  session_ = {};
  if (state_ == State::kStopped || state_ == State::kIdle) return;
  const std::string why = close_reason_.empty() ? escape(reason) : close_reason_;
  retry(why, close_retry_);
}

void Agent::on_message(std::string_view payload) {
  if (state_ != State::kGreeting && state_ != State::kActive) return;
  last_heard_ = clock_.now();
  const auto message = proto::decode(payload);
  if (!message) return close(fmt::format("the relay sent what is no message: {}", message.error().message()));
  if (const auto* bye = std::get_if<proto::Bye>(&*message)) return handle(*bye);
  if (const auto* welcome = std::get_if<proto::Welcome>(&*message)) return handle(*welcome);
  if (state_ != State::kActive) return close("the relay did not begin with welcome");
  if (const auto* ping = std::get_if<proto::Ping>(&*message))
    return link_->send(proto::encode(proto::Pong{ping->number}));
  if (const auto* open = std::get_if<proto::Open>(&*message)) return handle(*open);
  if (const auto* probe = std::get_if<proto::Probe>(&*message)) return handle(*probe);
  if (const auto* declared = std::get_if<proto::Declared>(&*message)) return handle(*declared);
  if (const auto* pins = std::get_if<proto::Pins>(&*message)) return store_pins(pins->pins);
  if (const auto* notice = std::get_if<proto::Notice>(&*message)) return world_.notice(escape(notice->text, 500));
}

void Agent::handle(const proto::Welcome& welcome) {
  if (state_ != State::kGreeting) return close("the relay greeted twice");
  const auto version = proto::agree_version({}, {welcome.version, welcome.version});
  if (!version) return refused(version.error().message());
  if (welcome.heartbeat_ms < 50) return close("the relay's welcome makes no sense");
  if (!core::parse_agent_name(welcome.name)) return close("the relay's welcome names no agent");
  state_ = State::kActive;
  session_ = welcome.session;
  heartbeat_ = Millis{welcome.heartbeat_ms};
  failures_ = 0;
  ever_active_ = true;
  store_pins(welcome.pins);
  if (settings_.enroll) {
    settings_.enroll.reset();
    world_.enrolled();
  }
  world_.connected(settings_.addresses[next_address_], welcome,
                   std::chrono::duration_cast<Micros>(clock_.now() - dial_started_));
  declare();  // an empty list too: it ends what an earlier process of this agent wished for
}

void Agent::store_pins(const std::array<core::Pin, 2>& pins) {
  const Status saved = world_.save_pins(pins);
  if (!saved) world_.notice(fmt::format("the relay's new keys could not be stored: {}", saved.error().message()));
}

void Agent::handle(const proto::Bye& bye) {
  const std::string text = escape(bye.text, 500);
  const bool final = bye.code == proto::ByeCode::kBadToken || bye.code == proto::ByeCode::kUnknownKey ||
                     bye.code == proto::ByeCode::kRevoked || bye.code == proto::ByeCode::kVersion;
  if (final) return refused(text);
  if (bye.code == proto::ByeCode::kDuplicate) close_retry_ = settings_.refused_retry;
  close(text);
}

// A person waits for a join to succeed; later only the operator of the relay can mend it, which may take days.
void Agent::refused(const std::string& text) {
  const bool joining = settings_.enroll && !ever_active_;
  if (!joining) close_retry_ = settings_.refused_retry;
  close(text);
  if (joining) world_.give_up(text);
}

void Agent::handle(const proto::Open& open) {
  std::optional<proto::RefuseReason> refusal;
  if (!world_.allowed(open.target))
    refusal = proto::RefuseReason::not_allowed;
  else if (open.leg == core::Leg::kPlain && settings_.leg_min == core::Leg::kTls)
    refusal = proto::RefuseReason::leg_not_allowed;
  if (!refusal) refusal = world_.open_channel(open, session_, keys_);
  if (refusal) on_open_failed(open.number, *refusal);
}

void Agent::wish(std::vector<proto::Wish> wishes) {
  wishes_ = std::move(wishes);
  if (state_ == State::kActive) declare();
}

void Agent::declare() { link_->send(proto::encode(proto::Declare{++declare_serial_, wishes_})); }

void Agent::handle(proto::Declared declared) {
  if (declared.serial != declare_serial_) return;  // answers an earlier list
  if (declared.outcomes.size() != wishes_.size()) return close("the relay answered other wishes than there were");
  for (auto& outcome : declared.outcomes) {
    outcome.address = escape(outcome.address, 300);
    outcome.error = escape(outcome.error, 600);
  }
  world_.declared(wishes_, declared);
}

void Agent::on_open_failed(std::uint64_t number, proto::RefuseReason reason) {
  if (state_ != State::kActive) return;
  link_->send(proto::encode(proto::OpenFailed{number, static_cast<std::uint16_t>(reason)}));
}

void Agent::handle(const proto::Probe& probe) {
  if (world_.allowed(probe.target)) return world_.probe(probe);
  on_probe_result(probe.number, proto::RefuseReason::not_allowed, Micros{0});
}

void Agent::on_probe_result(std::uint64_t number, std::optional<proto::RefuseReason> refused, Micros dial) {
  if (state_ != State::kActive) return;
  const auto reason = static_cast<std::uint16_t>(refused ? *refused : proto::RefuseReason{});
  link_->send(proto::encode(proto::ProbeResult{number, reason, static_cast<std::uint32_t>(dial.count())}));
}

}  // namespace nfr::control
