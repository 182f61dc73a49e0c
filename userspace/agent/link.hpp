// SPDX-License-Identifier: GPL-2.0-only
// The agent's end of its session: a message stream over TLS as control::Agent sees it. Agent's loop thread.
#pragma once

#include <functional>
#include <memory>

#include "core/seams.hpp"
#include "nfr/wire/wire.h"
#include "transport/message_stream.hpp"

namespace nfr::agent {

class Link final : public core::AgentLink, private transport::MessageEvents {
 public:
  using OnMessage = std::function<void(std::string_view)>;
  using OnClosed = std::function<void(std::string_view)>;  ///< may destroy the link

  Link(io::Loop& loop, std::unique_ptr<transport::Endpoint> endpoint, OnMessage on_message, OnClosed on_closed)
      : message_(std::move(on_message)),
        closed_(std::move(on_closed)),
        stream_(loop, std::move(endpoint), *this, NFR_MESSAGE_MAX) {}

  void start() { stream_.start(); }
  void send(std::string payload) override { stream_.send(payload); }
  void close() override { stream_.close(); }

 private:
  void on_message(std::string_view payload) override { message_(payload); }
  void on_closed(std::string_view reason) override {
    const OnClosed closed = std::move(closed_);
    closed(reason);
  }

  OnMessage message_;
  OnClosed closed_;
  transport::MessageStream stream_;
};

}  // namespace nfr::agent
