// SPDX-License-Identifier: GPL-2.0-only
// A DNS server for tests, as small as they need: UDP and TCP on one loopback port, a thread of its own, answers by
// name. Header format: RFC 1035 4.1.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <string>
#include <thread>

#include "base/fd.hpp"
#include "harness/loopback.hpp"
#include "net/address.hpp"

namespace nfr::test {

/// The first label says what comes: "both", "four", "six" have addresses; "unknown" does not exist, "failing" is
/// SERVFAIL, "silent" gets nothing, "half" an A record and silence about AAAA, "garbage" bytes that are no answer,
/// "cut" a header whose records are missing, "long" only TC over UDP and its address over TCP.
class DnsServer {
 public:
  DnsServer() : tcp_(listen_on_loopback(endpoint)), udp_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage storage{};
    const socklen_t length = endpoint.to_sockaddr(storage);
    EXPECT_EQ(::bind(udp_.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~DnsServer() {
    over_ = true;
    thread_.join();
  }
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  net::Endpoint endpoint;
  std::atomic<int> udp_queries{0};
  std::atomic<int> tcp_queries{0};

 private:
  static constexpr std::size_t kHeader = 12;

  void serve() {
    while (!over_) {
      pollfd entries[] = {{udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}};
      ::poll(entries, 2, 20);
      if (entries[0].revents != 0) serve_udp();
      if (entries[1].revents != 0) serve_tcp();
    }
  }

  void serve_udp() {
    char bytes[512];
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const ssize_t got =
        ::recvfrom(udp_.get(), bytes, sizeof bytes, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &length);
    if (got < static_cast<ssize_t>(kHeader)) return;
    ++udp_queries;
    const std::string reply = answer(std::string(bytes, static_cast<std::size_t>(got)), false);
    if (!reply.empty()) ::sendto(udp_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
  }

  // Two queries may come on one connection; the client closes it.
  void serve_tcp() {
    const Fd client(::accept(tcp_.get(), nullptr, nullptr));
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    unsigned char size[2];
    while (::recv(client.get(), size, 2, MSG_WAITALL) == 2) {
      std::string query(size[0] * 256U + size[1], '\0');
      if (::recv(client.get(), query.data(), query.size(), MSG_WAITALL) != static_cast<ssize_t>(query.size())) return;
      ++tcp_queries;
      std::string reply = answer(query, true);
      reply.insert(0, {static_cast<char>(reply.size() >> 8), static_cast<char>(reply.size() & 0xff)});
      ::send(client.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
    }
  }

  static std::string first_label(const std::string& query) {
    return query.substr(kHeader + 1, static_cast<unsigned char>(query.at(kHeader)));
  }

  static std::string answer(const std::string& query, bool tcp) {
    const std::string name = first_label(query);
    const std::size_t name_end = query.find('\0', kHeader);
    const bool six = query.at(name_end + 2) == 28;
    if (name == "silent" || (name == "half" && six)) return {};
    if (name == "garbage") return std::string(40, '\x5a');
    std::string reply = query.substr(0, name_end + 5);
    reply.replace(2, 10, std::string("\x81\x80\0\1\0\0\0\0\0\0", 10));
    if (name == "unknown") reply[3] = static_cast<char>(0x83);
    if (name == "failing") reply[3] = static_cast<char>(0x82);
    if (name == "long" && !tcp) reply[2] = static_cast<char>(0x83);
    if (name == "cut") reply[7] = 1;
    const bool has_six = name == "both" || name == "six";
    const bool has_four = name == "both" || name == "four" || name == "half" || (name == "long" && tcp);
    if (six ? !has_six : !has_four) return reply;
    reply[7] = 1;
    reply += std::string("\xc0\x0c\0", 3) + (six ? '\x1c' : '\1') + std::string("\0\1\0\0\0\0\0", 7);
    reply += six ? std::string("\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7", 17) : std::string("\4\xc0\0\2\7", 5);
    return reply;
  }

  Fd tcp_;
  Fd udp_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace nfr::test
