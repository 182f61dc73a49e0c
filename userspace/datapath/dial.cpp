// SPDX-License-Identifier: GPL-2.0-only
// Dial: socket, connect, deadline. Runs on its loop's thread; the socket resets on close from the start, so that
// the death of the process in the middle is not an orderly end for the other side.
#include "datapath/dial.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/assert.hpp"
#include "net/socket_names.hpp"
#include "net/tcp_options.hpp"

namespace nfr::datapath {
namespace {

bool connected_to_itself(int socket, const DialPlace& to) {
  if (!to.unix_path.empty()) return false;
  const auto local = net::local_name(socket);
  return local && local->port == to.endpoint.port && local == net::peer_name(socket);
}

socklen_t unix_sockaddr(const std::string& path, sockaddr_storage& out) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  NFR_ASSERT(path.size() < sizeof address.sun_path);  // core::Target checked it
  std::memcpy(address.sun_path, path.data(), path.size());
  std::memcpy(&out, &address, sizeof address);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
}

}  // namespace

Dial::Dial(io::Loop& loop, Done done)
    : loop_(loop),
      done_(std::move(done)),
      deadline_(loop, [this] { stop(ETIMEDOUT); }),
      soon_(loop, [this] { end(stopped_); }) {}

Dial::~Dial() { NFR_ASSERT(!connect_.in_flight()); }

Error Dial::Outcome::error(std::string_view what) const {
  return detail.empty() ? Error::system(what, os_errno) : Error(Code::kUnavailable, detail).context(what);
}

void Dial::start(const DialPlace& to, Millis deadline) {
  to_ = to;
  began_ = std::chrono::steady_clock::now();
  sockaddr_storage address{};
  const bool is_unix = !to.unix_path.empty();
  const socklen_t length = is_unix ? unix_sockaddr(to.unix_path, address) : to.endpoint.to_sockaddr(address);
  socket_.reset(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, is_unix ? 0 : IPPROTO_TCP));
  stopped_ = socket_.valid() ? net::set_options(socket_.get()) : errno;
  if (stopped_ != 0) return soon_.arm(Millis{0});
  deadline_.arm(deadline);
  loop_.connect(connect_, socket_.get(), address, length);
}

void Dial::stop(int os_errno) {
  if (stopped_ != 0) return;
  stopped_ = os_errno;
  if (connect_.in_flight()) return loop_.cancel(connect_);
  if (tunnel_) return tunnel_->cancel();
  soon_.arm(Millis{0});
}

void Dial::on_connected(int result) {
  if (stopped_ == 0 && result == 0 && !to_.proxy_request.empty()) return open_tunnel();
  if (result != 0 && !to_.proxy_request.empty()) {
    detail_ = Error::system("proxy " + to_.endpoint.text(), stopped_ != 0 ? stopped_ : -result).message();
  }
  end(stopped_ != 0 ? stopped_ : -result);
}

void Dial::open_tunnel() {
  tunnel_ = std::make_unique<ProxyTunnel>(loop_, socket_.get(), std::move(to_.proxy_request),
                                          [this](const Status& opened) { on_tunnel(opened); });
  tunnel_->start();
}

void Dial::on_tunnel(const Status& opened) {
  const auto finished = std::move(tunnel_);
  if (stopped_ == 0 && opened) return end(0);
  const bool late = stopped_ == ETIMEDOUT;
  detail_ = late ? fmt::format("proxy {} did not answer in time", to_.endpoint.text())
                 : fmt::format("proxy {} {}", to_.endpoint.text(), opened ? "was left" : opened.error().message());
  end(stopped_ != 0 ? stopped_ : ECONNREFUSED);
}

void Dial::end(int os_errno) {
  deadline_.disarm();
  soon_.disarm();
  // A port of the ephemeral range that nobody listens on can connect to itself on loopback.
  if (os_errno == 0 && connected_to_itself(socket_.get(), to_)) os_errno = ECONNREFUSED;
  if (os_errno != 0) socket_.reset();
  const auto took = std::chrono::duration_cast<Micros>(std::chrono::steady_clock::now() - began_);
  auto done = std::move(done_);
  done(Outcome{std::move(socket_), os_errno, took, std::move(detail_)});  // may destroy *this
}

}  // namespace nfr::datapath
