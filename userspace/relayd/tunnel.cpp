// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/tunnel.hpp"

#include <algorithm>

#include "base/log.hpp"

namespace nfr::relayd {
Tunnel::~Tunnel() { NFR_ASSERT(places_.empty() && links_.empty()); }

void Tunnel::add_listener(Fd listener) {
  auto listening = std::make_unique<Listening>();
  listening->socket = std::move(listener);
  listening->operation.handler = [this](io::Completion completion) { on_accept(std::move(completion)); };
  loop_.accept(listening->operation, listening->socket.get());
  listeners_.push_back(std::move(listening));
}

void Tunnel::on_accept(io::Completion completion) {
  if (!completion.more && stopped_) return check_stopped();
  if (completion.result < 0) {
    if (!completion.more)
      spdlog::error("the tunnel port stopped accepting: {}", Error::system("accept", -completion.result).message());
    return;
  }
  Fd socket(completion.result);
  if (stopped_) return;
  make_room();
  auto stranger = std::make_unique<Stranger>(loop_, std::move(socket), options_.handshake_timeout,
                                             static_cast<StrangerEvents&>(*this));
  Stranger& kept = *stranger;
  places_[&kept] = Place{&strangers_, strangers_.insert(strangers_.end(), std::move(stranger))};
  kept.start();
}

// Whoever is honest is through in two round trips: the oldest stranger is the one least likely to be.
void Tunnel::make_room() {
  if (strangers_.size() < options_.stranger_count_max) return;
  evict_oldest();
  ++evicted_;
  if (loop_.now() < next_warning_) return;
  next_warning_ = loop_.now() + std::chrono::minutes(1);
  spdlog::warn("{} unauthenticated connections on the tunnel port; the oldest are reset ({} so far)", strangers_.size(),
               evicted_);
}

void Tunnel::set_stranger_count_max(std::size_t count) {
  options_.stranger_count_max = count;
  while (strangers_.size() > count) evict_oldest();
}

void Tunnel::evict_oldest() {
  // Out of the line at once: it takes a round until its socket is closed, and a burst comes in one round.
  Stranger& oldest = *strangers_.front();
  leaving_.splice(leaving_.end(), strangers_, strangers_.begin());
  places_.at(&oldest).home = &leaving_;
  oldest.evict();
}

Result<std::unique_ptr<tls::Engine>> Tunnel::on_hello(Stranger& stranger) {
  if (handshakes_.size() >= options_.handshake_count_max) {
    Stranger* oldest = handshakes_.front();
    handshakes_.pop_front();
    oldest->evict();
  }
  handshakes_.push_back(&stranger);
  return tls::Engine::create(keys_.context());
}

void Tunnel::on_session(Stranger& stranger, std::unique_ptr<transport::TlsEndpoint> endpoint) {
  const auto pin = endpoint->engine().peer_pin();
  const auto keys = endpoint->engine().export_session_keys();
  NFR_ASSERT(pin.has_value() && keys);  // the context lets no session in without a certificate
  const core::LinkId id{++last_id_};
  const core::PeerIdentity peer{*pin, stranger.from(), *keys};
  forget(stranger);
  SessionLink::Hooks hooks;
  hooks.proven = [this](core::LinkId proven) { unproven_.remove(proven); };
  hooks.gone = [this](core::LinkId gone) {
    unproven_.remove(gone);
    links_.erase(gone);
    check_stopped();
  };
  auto link = std::make_unique<SessionLink>(loop_, std::move(endpoint), id, *relay_, std::move(hooks));
  SessionLink& kept = *link;
  links_[id] = std::move(link);
  relay_->on_link(id, kept, peer);
  kept.start();
  unproven_.push_back(id);
  bound_unproven();
}

// Anybody can make a key and finish a handshake: until its hello is accepted a session is a stranger's.
void Tunnel::bound_unproven() {
  if (unproven_.size() <= options_.handshake_count_max) return;
  SessionLink& oldest = *links_.at(unproven_.front());
  unproven_.pop_front();
  oldest.abort();
}

void Tunnel::on_channel(Stranger& stranger, transport::Carrier channel, std::span<const std::byte> preface) {
  const core::Leg leg = channel.engine ? core::Leg::kTls : core::Leg::kPlain;
  const std::vector<std::byte> bytes(preface.begin(), preface.end());  // outlive the stranger
  forget(stranger);
  deciding_ = core::ChannelRef{++last_id_};
  carrier_ = std::move(channel);
  relay_->flows().on_channel(deciding_, bytes, leg);
  carrier_ = {};  // refused: SO_LINGER {1,0} makes it an RST
  deciding_ = {};
}

transport::Carrier Tunnel::take(core::ChannelRef channel) {
  if (kept_.has(channel)) return kept_.take(channel);
  NFR_ASSERT(channel == deciding_);
  return std::move(carrier_);
}

void Tunnel::keep(core::ChannelRef channel) {
  NFR_ASSERT(channel == deciding_);
  kept_.keep(channel, std::move(carrier_));
}

void Tunnel::forget(Stranger& stranger) {
  std::erase(handshakes_, &stranger);
  const auto place = places_.find(&stranger);
  // Destroyed later, not from inside its own event.
  dead_.push_back(std::move(*place->second.at));
  if (!bury_.armed()) bury_.arm(Millis{0});  // armed again it would be due only after the round that has none
  place->second.home->erase(place->second.at);
  places_.erase(place);
  check_stopped();
}

void Tunnel::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  for (auto& listening : listeners_) loop_.cancel(listening->operation);
  std::vector<Stranger*> all;
  for (auto& stranger : strangers_) all.push_back(stranger.get());
  for (Stranger* stranger : all) stranger->evict();
  for (auto& [id, link] : links_) link->close();
  check_stopped();
}

void Tunnel::check_stopped() {
  if (!stopped_ || !places_.empty() || !links_.empty()) return;
  for (const auto& listening : listeners_) {
    if (listening->operation.in_flight()) return;
  }
  loop_.post(std::exchange(stopped_, nullptr));
}

}  // namespace nfr::relayd
