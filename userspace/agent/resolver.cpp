// SPDX-License-Identifier: GPL-2.0-only
#include "agent/resolver.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "base/text.hpp"

namespace nfr::agent {
namespace {

Result<std::vector<net::IpAddress>> ask(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (failed != 0) {
    return Error(Code::kUnavailable,
                 fmt::format("name '{}' cannot be resolved: {}", escape(host), ::gai_strerror(failed)));
  }
  std::vector<net::IpAddress> out;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ai_addr, std::min<std::size_t>(entry->ai_addrlen, sizeof storage));
    out.push_back(net::Endpoint::from_sockaddr(storage).address);
  }
  ::freeaddrinfo(list);
  return out;
}

}  // namespace

void Resolver::look_up(const std::string& host, Done done) {
  if (running_ >= kLookUpsMax) {
    Error busy(Code::kExhausted, fmt::format("name '{}': {} names are being resolved", escape(host), running_));
    return loop_.post([done = std::move(done), busy] { done(busy); });
  }
  ++running_;
  std::thread([this, alive = alive_, &loop = loop_, host, done = std::move(done)] {
    auto found = std::make_shared<Result<std::vector<net::IpAddress>>>(ask(host));
    loop.post([this, alive, found, done] {
      if (!*alive) return;
      --running_;
      done(std::move(*found));
    });
  }).detach();
}

}  // namespace nfr::agent
