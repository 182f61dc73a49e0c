// SPDX-License-Identifier: GPL-2.0-only
// The tunnel port: accepts, tells sessions from channels (Stranger does), bounds what strangers cost, and hands
// sessions and channels to control::Relay. Control thread.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "control/relay.hpp"
#include "relayd/kept_channels.hpp"
#include "relayd/keys.hpp"
#include "relayd/session_link.hpp"
#include "relayd/stranger.hpp"

namespace nfr::relayd {

struct TunnelOptions {
  Millis handshake_timeout{5000};         ///< from accept to an authenticated session or a verified preface
  std::size_t handshake_count_max = 256;  ///< strangers with TLS state, and sessions before their login is accepted,
                                          ///< each; one more evicts the oldest of them
  std::size_t stranger_count_max = 6000;  ///< strangers in all (a descriptor each); one more evicts the oldest
};

class Tunnel final : private StrangerEvents {
 public:
  Tunnel(io::Loop& loop, Keys& keys, const TunnelOptions& options)
      : loop_(loop), keys_(keys), options_(options), bury_(loop, [this] { dead_.clear(); }) {}
  ~Tunnel() override;

  /// Must be called before any listener is added.
  void set_relay(control::Relay* relay) { relay_ = relay; }
  void add_listener(Fd listener);
  /// The channel control is deciding about (called from inside its on_channel), or one that is kept.
  transport::Carrier take(core::ChannelRef channel);
  void keep(core::ChannelRef channel);  ///< the one control is deciding about
  void reject(core::ChannelRef channel) { kept_.reset(channel); }
  /// Kept channels that ended by themselves since the last call.
  std::vector<core::ChannelRef> sweep() { return kept_.sweep(); }
  /// Closes listeners, strangers and sessions; `done` once nothing is left.
  void stop(std::function<void()> done);

  void set_stranger_count_max(std::size_t count);  ///< at least 1; those beyond it are reset, the oldest first
  std::size_t stranger_count() const { return strangers_.size(); }
  std::size_t session_count() const { return links_.size(); }
  std::size_t listener_count() const { return listeners_.size(); }

 private:
  struct Listening {
    Fd socket;
    io::CallbackOperation operation;
  };
  using Strangers = std::list<std::unique_ptr<Stranger>>;

  void on_accept(io::Completion completion);
  void make_room();
  void evict_oldest();
  void bound_unproven();
  void forget(Stranger& stranger);
  void check_stopped();

  Result<std::unique_ptr<tls::Engine>> on_hello(Stranger& stranger) override;
  void on_session(Stranger& stranger, std::unique_ptr<transport::TlsEndpoint> endpoint) override;
  void on_channel(Stranger& stranger, transport::Carrier channel, std::span<const std::byte> preface) override;
  void on_over(Stranger& stranger) override { forget(stranger); }

  io::Loop& loop_;
  Keys& keys_;
  TunnelOptions options_;
  control::Relay* relay_ = nullptr;
  std::vector<std::unique_ptr<Listening>> listeners_;
  Strangers strangers_;  ///< oldest first
  Strangers leaving_;    ///< evicted to make room; gone once their sockets are closed
  struct Place {
    Strangers* home;
    Strangers::iterator at;
  };
  std::unordered_map<Stranger*, Place> places_;
  std::vector<std::unique_ptr<Stranger>> dead_;
  io::Timer bury_;
  std::list<Stranger*> handshakes_;  ///< oldest first
  std::unordered_map<core::LinkId, std::unique_ptr<SessionLink>> links_;
  std::list<core::LinkId> unproven_;  ///< links whose login was not accepted yet, oldest first
  KeptChannels kept_;
  core::ChannelRef deciding_;
  transport::Carrier carrier_;
  std::uint64_t last_id_ = 0;
  std::uint64_t evicted_ = 0;
  Instant next_warning_{};
  std::function<void()> stopped_;
};

}  // namespace nfr::relayd
