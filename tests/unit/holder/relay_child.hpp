// SPDX-License-Identifier: GPL-2.0-only
// What the tests of this room share: a scratch directory, sockets, and a scripted stand-in for the relay process,
// which is the test binary started again with --relay-process (main is in main_test.cpp).
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

#include "base/fd.hpp"
#include "net/address.hpp"

namespace nfr::holder::test {

/// argv: NAME --relay-process DIRECTORY SCRIPT...; the script of its life number, the last one for all later lives.
int relay_child_main(int argc, char** argv);

/// A directory that anybody may write to, removed at the end.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "nfr-holder-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
    ::chmod(path_.c_str(), 0777);
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Until the condition holds, at most ten seconds.
inline bool wait_until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

inline net::Endpoint local_address(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  return net::Endpoint::from_sockaddr(address);
}

/// A blocking stream socket bound to `endpoint`; invalid when that fails.
inline Fd bound_socket(const net::Endpoint& endpoint) {
  Fd socket(::socket(endpoint.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  const socklen_t length = endpoint.to_sockaddr(address);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0) socket.reset();
  return socket;
}

inline net::IpAddress loopback() { return net::IpAddress::v4(0x7F000001); }

/// A port nobody has at the moment.
inline net::Endpoint free_endpoint(net::IpAddress address = loopback()) {
  return local_address(bound_socket({address, net::Port{0}}).get());
}

/// A connected blocking socket with a receive timeout of ten seconds; invalid when refused.
inline Fd connect_to(const net::Endpoint& endpoint) {
  Fd socket(::socket(endpoint.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval timeout{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  sockaddr_storage address{};
  const socklen_t length = endpoint.to_sockaddr(address);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0) socket.reset();
  return socket;
}

}  // namespace nfr::holder::test
