// SPDX-License-Identifier: GPL-2.0-only
// RelayDial: from "HOST:PORT" to an authenticated TLS endpoint: resolve, connect, handshake; through an HTTP proxy
// where one is set (then the proxy's name is resolved here, the relay's by the proxy). One attempt; every address of a
// name is tried in turn. Agent's loop thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/resolver.hpp"
#include "config/proxy_server.hpp"
#include "datapath/dial.hpp"
#include "transport/tls_handshake.hpp"

namespace nfr::agent {

class RelayDial {
 public:
  struct Connected {
    std::unique_ptr<transport::TlsEndpoint> endpoint;
    datapath::DialPlace relay;  ///< where channels go, too
  };
  /// Called once, from the loop, never from inside start(); may destroy the dial.
  using Done = std::function<void(Result<Connected>)>;

  RelayDial(io::Loop& loop, Resolver& resolver, std::shared_ptr<const tls::Context> context,
            std::optional<config::ProxyServer> proxy, Done done)
      : loop_(loop),
        resolver_(resolver),
        context_(std::move(context)),
        proxy_(std::move(proxy)),
        done_(std::move(done)) {}
  ~RelayDial();

  void start(const std::string& address);

 private:
  void reach(const std::string& address);
  std::string shown() const;  ///< what is tried, for errors
  void resolve(const std::string& host, net::Port port);
  void next(Error last);
  void on_dialled(datapath::Dial::Outcome outcome);
  void on_handshake(Result<std::unique_ptr<transport::TlsEndpoint>> result);

  io::Loop& loop_;
  Resolver& resolver_;
  std::shared_ptr<const tls::Context> context_;
  const std::optional<config::ProxyServer> proxy_;
  Done done_;
  std::string target_;                     ///< the relay as errors name it
  std::string request_;                    ///< for the proxy
  std::vector<net::Endpoint> candidates_;  ///< still to try, next one last
  datapath::DialPlace trying_;
  std::unique_ptr<datapath::Dial> dial_;
  std::unique_ptr<transport::TlsHandshake> handshake_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nfr::agent
