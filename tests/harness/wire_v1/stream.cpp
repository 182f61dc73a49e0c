// SPDX-License-Identifier: GPL-2.0-only
// Sockets and their two directions for the version-1 peer. Frozen: see codec.hpp. TLS handshakes are in tls.cpp.
#include "wire_v1/stream.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace wire_v1 {
namespace {

constexpr int kWaitMs = 20'000;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

struct Found {
  explicit Found(const std::string& host_port) {
    const std::size_t colon = host_port.rfind(':');
    std::string host = host_port.substr(0, colon);
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    const int error = getaddrinfo(host.c_str(), host_port.c_str() + colon + 1, &hints, &list);
    if (error != 0) fail(host_port + ": " + gai_strerror(error));
  }
  ~Found() { freeaddrinfo(list); }
  addrinfo* list = nullptr;
};

int open_socket(const addrinfo& address) { return socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0); }

// One direction: bytes on their way from one stream to another.
struct Lane {
  Stream& from;
  Stream& to;
  Bytes held = {};
  bool done = false;

  bool move() {
    if (done) return false;
    if (held.empty() && !from.ended()) held = from.read_some();
    const std::size_t taken = held.empty() ? 0 : to.write_some(held);
    held.erase(0, taken);
    if (!held.empty() || !from.ended()) return taken > 0;
    to.finish();
    return done = true;
  }
};

}  // namespace

int dial(const std::string& host_port) {
  const Found found(host_port);
  const int fd = open_socket(*found.list);
  if (connect(fd, found.list->ai_addr, found.list->ai_addrlen) == 0) return fd;
  const int error = errno;
  close(fd);
  fail("connect to " + host_port + ": " + std::strerror(error));
}

int listen_on(const std::string& host_port) {
  const Found found(host_port);
  const int fd = open_socket(*found.list);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, found.list->ai_addr, found.list->ai_addrlen) != 0 || listen(fd, 64) != 0) {
    fail("listen on " + host_port + ": " + std::strerror(errno));
  }
  return fd;
}

Stream::Stream(int fd, Owned<SSL> ssl) : fd_(fd), ssl_(std::move(ssl)) {}
Stream::Stream(Stream&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), ssl_(std::move(other.ssl_)), ended_(other.ended_) {}
Stream::~Stream() {
  if (fd_ >= 0) close(fd_);
}

void Stream::set_blocking(bool on) {
  const int flags = fcntl(fd_, F_GETFL);
  fcntl(fd_, F_SETFL, on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

Bytes Stream::read_exactly(std::size_t size) {
  Bytes out;
  set_blocking(true);
  while (out.size() < size) {
    pollfd ready{fd_, POLLIN, 0};
    const bool pending = ssl_ && SSL_pending(ssl_.get()) > 0;
    if (!pending && poll(&ready, 1, kWaitMs) == 0) fail("nothing came within 20 s");
    Bytes part(size - out.size(), '\0');
    const int length = static_cast<int>(part.size());
    const auto got = ssl_ ? SSL_read(ssl_.get(), part.data(), length) : recv(fd_, part.data(), part.size(), 0);
    if (got <= 0) fail(got == 0 ? "the peer ended the stream" : std::string("read: ") + std::strerror(errno));
    out += part.substr(0, static_cast<std::size_t>(got));
  }
  return out;
}

void Stream::write_all(const Bytes& bytes) {
  set_blocking(true);
  const int length = static_cast<int>(bytes.size());
  const auto sent = ssl_ ? SSL_write(ssl_.get(), bytes.data(), length)
                         : send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_WAITALL);
  if (sent != static_cast<ssize_t>(bytes.size())) fail(std::string("write: ") + std::strerror(errno));
}

Bytes Stream::read_some() {
  Bytes part(65536, '\0');
  set_blocking(false);
  errno = 0;
  const auto got =
      ssl_ ? SSL_read(ssl_.get(), part.data(), static_cast<int>(part.size())) : recv(fd_, part.data(), part.size(), 0);
  if (got > 0) return part.substr(0, static_cast<std::size_t>(got));
  const int error = ssl_ ? SSL_get_error(ssl_.get(), static_cast<int>(got)) : SSL_ERROR_NONE;
  if (ssl_ ? error == SSL_ERROR_ZERO_RETURN : got == 0) {
    ended_ = true;
    return {};
  }
  if (ssl_ ? error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE : errno == EAGAIN) return {};
  fail(std::string("stream broken: ") + std::strerror(errno));
}

std::size_t Stream::write_some(const Bytes& bytes) {
  set_blocking(false);
  errno = 0;
  if (!ssl_) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) fail(std::string("stream broken: ") + std::strerror(errno));
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }
  SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const int sent = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
  if (sent > 0) return static_cast<std::size_t>(sent);
  const int error = SSL_get_error(ssl_.get(), sent);
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) fail("TLS stream broken");
  return 0;
}

void Stream::finish() {
  if (ssl_) {
    set_blocking(true);
    SSL_shutdown(ssl_.get());
  }
  shutdown(fd_, SHUT_WR);
}

void Stream::reset() {
  const linger abort{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
}

void send_message(Stream& stream, const std::string& json) { stream.write_all(big_endian(json.size(), 4) + json); }

std::string read_message(Stream& stream) {
  const std::uint64_t size = number_at(stream.read_exactly(4), 0, 4);
  if (size == 0 || size > 65536) fail("a message of " + std::to_string(size) + " bytes");
  return stream.read_exactly(size);
}

void join_streams(Stream& a, Stream& b) {
  Lane there{a, b};
  Lane back{b, a};
  try {
    while (!there.done || !back.done) {
      const bool moved = there.move() | back.move();
      if (moved) continue;
      pollfd ready[] = {{a.fd(), POLLIN, 0}, {b.fd(), POLLIN, 0}};
      if (a.ended()) ready[0].fd = -1;
      if (b.ended()) ready[1].fd = -1;
      poll(ready, 2, there.held.empty() && back.held.empty() ? 100 : 1);
    }
  } catch (...) {
    a.reset();
    b.reset();
    throw;
  }
}

}  // namespace wire_v1
