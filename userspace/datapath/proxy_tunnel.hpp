// SPDX-License-Identifier: GPL-2.0-only
// ProxyTunnel: one CONNECT on a socket that reaches an HTTP proxy. Used by Dial, on its loop's thread, under Dial's
// deadline. Afterwards the socket reaches what the request named.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "base/result.hpp"
#include "io/loop.hpp"
#include "proto/http_connect.hpp"

namespace nfr::datapath {

class ProxyTunnel {
 public:
  /// Called once, never from inside start() or cancel(); may destroy the tunnel. kDenied: the proxy answered with
  /// another status than 2xx. The message is safe to print and holds no credentials.
  using Done = std::function<void(Status)>;

  /// The socket stays the owner's; `request` are the bytes of encode_connect().
  ProxyTunnel(io::Loop& loop, int socket, std::string request, Done done);
  void start();
  void cancel();  ///< done(kUnavailable) follows

 private:
  void send_rest();
  void on_sent(const io::Completion& completion);
  void receive();
  void on_received(const io::Completion& completion);
  Status judge(const proto::ConnectAnswer& answer) const;
  void end(Status outcome);

  io::Loop& loop_;
  const int socket_;
  std::string request_;
  std::size_t sent_ = 0;
  std::array<std::byte, 1024> chunk_{};
  std::string received_;
  bool cancelled_ = false;
  Done done_;
  io::CallbackOperation operation_;
};

}  // namespace nfr::datapath
