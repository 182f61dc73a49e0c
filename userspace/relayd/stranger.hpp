// SPDX-License-Identifier: GPL-2.0-only
// Stranger: a connection on the tunnel port that has proven nothing yet. First byte, then a plain channel's preface or
// a TLS handshake, then (channels over TLS) the preface inside. One deadline from accept to the end, one byte budget
// before TLS starts, and no TLS state before a whole ClientHello is there. Control thread; owned by Tunnel.
//
// kFirst -> kPreface -> (gives away a plain channel)
//        -> kHello -> kHandshake -> (gives away a session) | kInnerPreface -> (gives away a tls channel);  any -> over
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "io/loop.hpp"
#include "nfr/wire/wire.h"
#include "transport/exact_io.hpp"
#include "transport/raw_endpoint.hpp"
#include "transport/tls_handshake.hpp"

namespace nfr::relayd {

class Stranger;

/// What becomes of a stranger; exactly one of the three, as the last event, in which it may be destroyed.
class StrangerEvents {
 public:
  virtual ~StrangerEvents() = default;
  virtual void on_session(Stranger& stranger, std::unique_ptr<transport::TlsEndpoint> endpoint) = 0;
  virtual void on_channel(Stranger& stranger, transport::Carrier channel, std::span<const std::byte> preface) = 0;
  virtual void on_over(Stranger& stranger) = 0;
  /// A whole ClientHello is there: from now on the stranger costs TLS state.
  virtual Result<std::unique_ptr<tls::Engine>> on_hello(Stranger& stranger) = 0;
};

class Stranger final : private io::Operation, private transport::EndpointEvents {
 public:
  Stranger(io::Loop& loop, Fd socket, Millis deadline, StrangerEvents& events);

  void start();
  /// Ends it by RST; on_over follows.
  void evict();
  bool in_handshake() const { return state_ == State::kHandshake || state_ == State::kInnerPreface; }
  const net::Endpoint& from() const { return from_; }  ///< known from its ClientHello on

 private:
  enum class State { kFirst, kPreface, kHello, kHandshake, kInnerPreface, kOver };

  void complete(io::Completion completion) override;
  void receive_more();
  void on_bytes();
  bool hello_complete() const;
  void begin_handshake();
  void on_handshake(Result<std::unique_ptr<transport::TlsEndpoint>> result);
  void on_inner_preface(transport::ExactIo::End end);
  void end();

  // The TLS endpoint while it closes.
  void on_data(std::span<const std::byte>) override {}
  void on_eof() override {}
  void on_written() override {}
  void on_finished() override {}
  void on_error(int) override {}
  void on_closed() override { events_.on_over(*this); }

  io::Loop& loop_;
  Fd socket_;
  net::Endpoint from_;
  Instant deadline_at_;
  StrangerEvents& events_;
  State state_ = State::kFirst;
  bool evicted_ = false;
  std::array<std::byte, NFR_PREFACE_BYTES> chunk_{};
  std::string received_;
  std::unique_ptr<transport::TlsHandshake> handshake_;
  std::unique_ptr<transport::TlsEndpoint> endpoint_;
  std::unique_ptr<transport::ExactIo> exact_;
  io::Timer deadline_;
};

}  // namespace nfr::relayd
