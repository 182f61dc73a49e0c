// SPDX-License-Identifier: GPL-2.0-only
// The server of bulk. iperf3's server cannot take over a connection that another process has made, so it cannot stand
// at the end of a channel.
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <vector>

#include "load/bulk.hpp"
#include "load/server.hpp"

namespace nfr::load {
namespace {

class Streams : public Service {
 public:
  explicit Streams(Server& server) : server_(server) {}

  void ready(int socket) override {
    char& kind = kind_of(socket);
    if (kind == 0 && !begin(socket, kind)) return;
    const bool goes_on = kind == kDownload ? give(socket) : kind == kUpload ? drop(socket) : tell(socket);
    if (goes_on) return;
    kind = 0;
    ::close(socket);
  }

 private:
  char& kind_of(int socket) {
    const auto place = static_cast<std::size_t>(socket);
    if (place >= kinds_.size()) kinds_.resize(place + 1);
    return kinds_[place];
  }

  /// The first byte says what the connection is for; a question is left to be read as such.
  bool begin(int socket, char& kind) {
    char byte = 0;
    const ssize_t got = ::recv(socket, &byte, 1, MSG_PEEK);
    if (got < 0 && errno == EAGAIN) return false;
    if (got != 1 || (byte != kDownload && byte != kUpload && byte != kQuestion)) return ::close(socket), false;
    kind = byte;
    if (kind != kQuestion) (void)::recv(socket, &byte, 1, 0);
    if (kind == kDownload) server_.want(socket, EPOLLOUT | EPOLLRDHUP);
    return true;
  }

  bool give(int socket) {
    char byte = 0;
    if (::recv(socket, &byte, 1, 0) == 0) return false;
    return ::send(socket, buffer_.data(), buffer_.size(), MSG_NOSIGNAL) > 0 || errno == EAGAIN;
  }

  bool drop(int socket) {
    const ssize_t got = ::recv(socket, buffer_.data(), buffer_.size(), 0);
    if (got <= 0) return got < 0 && errno == EAGAIN;
    received_ += static_cast<std::uint64_t>(got);
    return true;
  }

  /// Each byte is a question.
  bool tell(int socket) {
    char byte = 0;
    const ssize_t got = ::recv(socket, &byte, 1, 0);
    if (got != 1) return got < 0 && errno == EAGAIN;
    const auto now = SteadyClock::now().time_since_epoch();
    const Received answer{received_, std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()};
    return ::send(socket, &answer, sizeof answer, MSG_NOSIGNAL) == sizeof answer;
  }

  Server& server_;
  std::vector<char> kinds_;  ///< by descriptor; 0: not known yet
  std::vector<char> buffer_ = std::vector<char>(kBulkBytes);
  std::uint64_t received_ = 0;
};

}  // namespace

Status stream(const Places& places) {
  auto server = Server::create(places);
  if (!server) return server.error();
  Streams service(*server);
  server->serve(service);
}

}  // namespace nfr::load
