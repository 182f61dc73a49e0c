// SPDX-License-Identifier: GPL-2.0-only
// TlsHandshake: drives a tls::Engine over a socket until it is done, under a deadline, and then turns both into a
// TlsEndpoint. Used by the tunnel acceptor and by the agent, on a loop's thread. Judges no pin and no ALPN.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/loop.hpp"
#include "tls/tls.hpp"
#include "transport/tls_endpoint.hpp"

namespace nfr::transport {

class TlsHandshake final : private EndpointEvents {
 public:
  /// Called exactly once, never from inside start() or cancel(); may destroy the handshake. On an error the socket
  /// is closed already (by RST, after an attempt to send the alert). kTimeout at the deadline, kUnavailable after
  /// cancel() or when the peer went away, else the engine's error.
  using Done = std::function<void(Result<std::unique_ptr<TlsEndpoint>>)>;

  TlsHandshake(io::Loop& loop, std::unique_ptr<RawEndpoint> raw, std::unique_ptr<tls::Engine> engine, Done done);

  /// `early`: bytes of the peer that were read already (the first byte that told the protocols apart).
  void start(Millis deadline, std::span<const std::byte> early = {});
  void cancel();

 private:
  void on_data(std::span<const std::byte> wire) override;
  void on_eof() override;
  void on_written() override;
  void on_finished() override {}
  void on_error(int os_errno) override;
  void on_closed() override;

  void step();
  bool flush();
  void succeed();
  void fail(Error error);
  void close();

  io::Loop& loop_;
  std::unique_ptr<RawEndpoint> raw_;
  std::unique_ptr<tls::Engine> engine_;
  Done done_;
  std::string wire_;  // being written
  bool reading_ = false;
  bool complete_ = false;  // the engine is done; the last flight may still be on its way out
  bool closing_ = false;
  std::optional<Error> error_;  // what done_ will be told
  io::Timer deadline_;
  io::Timer soon_;  // the first step, outside of start()
};

}  // namespace nfr::transport
