// SPDX-License-Identifier: GPL-2.0-only
// Sockets of the load, and percentiles of what it measured.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <string>

#include "load/load.hpp"

namespace nfr::load {

Result<Fd> start_connect(const net::Endpoint& to) {
  sockaddr_storage address{};
  const socklen_t length = to.to_sockaddr(address);
  Fd socket(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return Error::system("socket", errno);
  const int on = 1;
  (void)::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 && errno != EINPROGRESS)
    return Error::system("connecting to " + to.text(), errno);
  return socket;
}

int connect_error(int socket) {
  int error = 0;
  socklen_t length = sizeof error;
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

void close_now(Fd& socket) {
  const linger value{.l_onoff = 1, .l_linger = 0};
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &value, sizeof value);
  socket.reset();
}

double machine_busy_seconds() {
  std::ifstream stat("/proc/stat");
  std::string label;
  std::array<std::uint64_t, 7> ticks{};  // user nice system idle iowait irq softirq
  stat >> label;
  for (std::uint64_t& each : ticks) stat >> each;
  const std::uint64_t busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6];
  return static_cast<double>(busy) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void Latencies::put(nlohmann::json& into, const std::string& prefix) {
  if (values_.empty()) return;
  const auto at = [this](double share) {
    const auto place = values_.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values_.size() - 1));
    std::nth_element(values_.begin(), place, values_.end());
    return *place;
  };
  into[prefix + "_p50_us"] = at(0.5);
  into[prefix + "_p99_us"] = at(0.99);
}

}  // namespace nfr::load
