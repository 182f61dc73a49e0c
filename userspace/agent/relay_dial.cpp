// SPDX-License-Identifier: GPL-2.0-only
#include "agent/relay_dial.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "net/tcp_options.hpp"
#include "proto/http_connect.hpp"
#include "transport/raw_endpoint.hpp"

namespace nfr::agent {
namespace {

constexpr Millis kConnectDeadline{5000};
constexpr Millis kHandshakeDeadline{5000};

}  // namespace

RelayDial::~RelayDial() { *alive_ = false; }

void RelayDial::start(const std::string& address) {
  target_ = "relay " + escape(address);
  if (!proxy_) return reach(address);
  request_ = proto::encode_connect(address, proxy_->user, proxy_->password, fmt::format("nfagent/{}", NFR_VERSION));
  reach(proxy_->text());
}

void RelayDial::reach(const std::string& address) {
  if (const auto endpoint = net::Endpoint::parse(address)) {
    candidates_ = {*endpoint};
    return next(Error(Code::kUnavailable, "no address"));
  }
  const std::size_t colon = address.rfind(':');
  const auto port = net::parse_port(std::string_view(address).substr(colon + 1));  // the join line was checked
  resolve(address.substr(0, colon), port ? *port : net::Port{});
}

std::string RelayDial::shown() const {
  return proxy_ ? fmt::format("{} through proxy {}", target_, proxy_->text()) : "relay " + trying_.endpoint.text();
}

void RelayDial::resolve(const std::string& host, net::Port port) {
  resolver_.look_up(host, [this, alive = alive_, port](Result<std::vector<net::IpAddress>> found) {
    if (!*alive) return;
    if (!found) {
      const Done done = std::move(done_);
      return done(found.error());
    }
    for (auto address = found->rbegin(); address != found->rend(); ++address) candidates_.push_back({*address, port});
    next(Error(Code::kUnavailable, "the name has no address"));
  });
}

void RelayDial::next(Error last) {
  if (candidates_.empty()) {
    const Done done = std::move(done_);
    return done(std::move(last));
  }
  trying_ = {candidates_.back(), {}, request_};
  candidates_.pop_back();
  dial_ = std::make_unique<datapath::Dial>(loop_,
                                           [this](datapath::Dial::Outcome outcome) { on_dialled(std::move(outcome)); });
  dial_->start(trying_, kConnectDeadline);
}

void RelayDial::on_dialled(datapath::Dial::Outcome outcome) {
  const auto finished = std::move(dial_);
  if (outcome.os_errno != 0) return next(outcome.error(shown()));
  net::set_keepalive(outcome.socket.get(), net::kChannelKeepalive);
  auto engine = tls::Engine::create(context_);
  if (!engine) return next(engine.error());
  handshake_ = std::make_unique<transport::TlsHandshake>(
      loop_, transport::RawEndpoint::adopt(loop_, std::move(outcome.socket)), std::move(*engine),
      [this](Result<std::unique_ptr<transport::TlsEndpoint>> result) { on_handshake(std::move(result)); });
  handshake_->start(kHandshakeDeadline);
}

void RelayDial::on_handshake(Result<std::unique_ptr<transport::TlsEndpoint>> result) {
  const auto finished = std::move(handshake_);
  if (!result) return next(result.error().context(shown()));
  const Done done = std::move(done_);
  done(Connected{std::move(*result), trying_});
}

}  // namespace nfr::agent
