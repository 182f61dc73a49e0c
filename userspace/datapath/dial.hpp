// SPDX-License-Identifier: GPL-2.0-only
// Dial: one TCP (or unix stream) connect under a deadline, cancellable. The agent uses it towards the relay's tunnel
// port (through an HTTP proxy where one is set) and towards targets, on its loop's thread. Does not resolve names and
// does not retry.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "datapath/proxy_tunnel.hpp"
#include "io/loop.hpp"
#include "net/address.hpp"

namespace nfr::datapath {

/// Where a connection goes: an address, or a unix socket where `unix_path` is not empty.
struct DialPlace {
  net::Endpoint endpoint;
  std::string unix_path;
  /// Not empty: the endpoint is an HTTP proxy's, and these are the bytes of the CONNECT that leads on.
  std::string proxy_request;
};

class Dial {
 public:
  struct Outcome {
    Fd socket;         ///< connected, with net::set_options(), without keepalive; invalid on failure
    int os_errno = 0;  ///< 0, or why not; ETIMEDOUT at the deadline, ECANCELED after cancel()
    Micros took{0};
    std::string detail;  ///< what the proxy said against it; empty: os_errno tells all
    Error error(std::string_view what) const;
  };
  /// Called once, never from inside start() or cancel(); may destroy the Dial.
  using Done = std::function<void(Outcome)>;

  Dial(io::Loop& loop, Done done);
  ~Dial();

  void start(const net::Endpoint& to, Millis deadline) { start(DialPlace{to, {}, {}}, deadline); }
  void start(const DialPlace& to, Millis deadline);
  void cancel() { stop(ECANCELED); }

 private:
  class Connect final : public io::Operation {
   public:
    explicit Connect(Dial& owner) : owner_(owner) {}
    void complete(io::Completion completion) override { owner_.on_connected(completion.result); }

   private:
    Dial& owner_;
  };

  void on_connected(int result);
  void stop(int os_errno);
  void end(int os_errno);
  void open_tunnel();
  void on_tunnel(const Status& opened);

  io::Loop& loop_;
  Done done_;
  Fd socket_;
  DialPlace to_;
  std::unique_ptr<ProxyTunnel> tunnel_;
  std::string detail_;
  Instant began_;
  int stopped_ = 0;  // errno that wins over the result of a cancelled connect
  Connect connect_{*this};
  io::Timer deadline_;
  io::Timer soon_;
};

}  // namespace nfr::datapath
