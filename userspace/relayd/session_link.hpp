// SPDX-License-Identifier: GPL-2.0-only
// One agent's session as the control loop holds it: a message stream over TLS, reporting to control::Relay.
// Control thread. Destroys itself through its owner once closed.
#pragma once

#include <functional>
#include <memory>

#include "control/relay.hpp"
#include "transport/message_stream.hpp"

namespace nfr::relayd {

class SessionLink final : public core::AgentLink, private transport::MessageEvents {
 public:
  struct Hooks {
    std::function<void(core::LinkId)> proven;  ///< its hello was accepted; once
    std::function<void(core::LinkId)> gone;    ///< may destroy the link
  };

  SessionLink(io::Loop& loop, std::unique_ptr<transport::Endpoint> endpoint, core::LinkId id, control::Relay& relay,
              Hooks hooks)
      : id_(id),
        relay_(relay),
        hooks_(std::move(hooks)),
        stream_(loop, std::move(endpoint), *this, NFR_MESSAGE_MAX_BEFORE_LOGIN) {}

  void start() { stream_.start(); }
  void send(std::string payload) override { stream_.send(payload); }
  void close() override { stream_.close(); }
  void abort() { stream_.abort("too many sessions that have not logged in"); }

 private:
  void on_message(std::string_view payload) override {
    relay_.on_link_message(id_, payload);
    // Control answered the hello, or hung up: what it lets in may speak at length.
    stream_.set_message_max(NFR_MESSAGE_MAX);
    if (!proven_ && relay_.sessions().logged_in(id_)) {
      proven_ = true;
      hooks_.proven(id_);
    }
  }
  void on_closed(std::string_view reason) override {
    relay_.on_link_closed(id_, reason);
    const auto gone = std::move(hooks_.gone);  // the call destroys *this
    gone(id_);
  }

  core::LinkId id_;
  control::Relay& relay_;
  Hooks hooks_;
  bool proven_ = false;
  transport::MessageStream stream_;
};

}  // namespace nfr::relayd
