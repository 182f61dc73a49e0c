// SPDX-License-Identifier: GPL-2.0-only
#include "holder/listener_table.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/assert.hpp"
#include "holder/port_owner.hpp"
#include "net/tcp_options.hpp"

namespace nfr::holder {
namespace {

constexpr int kBacklog = 4096;

// Both wildcards mean "every address": one key.
net::Endpoint key_of(const net::Endpoint& endpoint) {
  return endpoint.address.is_wildcard() ? net::Endpoint{net::IpAddress(), endpoint.port} : endpoint;
}

net::IpAddress any_v6() { return net::IpAddress::v6(std::array<std::uint8_t, 16>{}); }

int set_option(const Fd& socket, int level, int name, int value) {
  return ::setsockopt(socket.get(), level, name, &value, sizeof value);
}

// What is accepted inherits them. A relay process that is killed between the kernel's accept and its own first look at
// the connection (it may wait in a completion queue) would otherwise end a visitor by FIN, as if all had been said.
int set_inherited(const Fd& socket, ListenerKind kind) {
  net::set_keepalive(socket.get(), kind == ListenerKind::kTunnel ? net::kChannelKeepalive : net::kVisitorKeepalive);
  return net::set_options(socket.get());
}

// The first socket of a group binds without SO_REUSEPORT, so that a program of the same user that listens with it
// is noticed instead of sharing the port; it joins the option afterwards, which lets the others of the group bind.
int bind_socket(const Fd& socket, const net::Endpoint& endpoint, ListenerKind kind, bool first) {
  sockaddr_storage address{};
  const socklen_t length = endpoint.to_sockaddr(address);
  if (set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1) < 0) return errno;
  if (const int error = set_inherited(socket, kind); error != 0) return error;
  const int v6_only = endpoint.address.is_wildcard() ? 0 : 1;
  if (!endpoint.address.is_v4() && set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, v6_only) < 0) return errno;
  if (!first && set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1) < 0) return errno;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0) return errno;
  if (first && set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1) < 0) return errno;
  return ::listen(socket.get(), kBacklog) < 0 ? errno : 0;
}

bool no_ipv6(const std::optional<OpenFailure>& failure) {
  return failure && (failure->os_errno == EAFNOSUPPORT || failure->os_errno == EADDRNOTAVAIL);
}

}  // namespace

std::optional<OpenFailure> ListenerTable::add_socket(Group& group, bool first) {
  if (socket_count_ >= socket_count_max_) return OpenFailure{Code::kExhausted, EMFILE, {}};
  const int family = group.bound.address.is_v4() ? AF_INET : AF_INET6;
  Fd socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket.valid()) return OpenFailure{Code::kSystem, errno, {}};
  if (const int error = bind_socket(socket, group.bound, group.kind, first); error != 0) {
    return OpenFailure{Code::kSystem, error, error == EADDRINUSE ? port_owner(group.bound) : std::string()};
  }
  group.sockets.push_back(socket.get());
  group.owned.push_back(std::move(socket));
  ++socket_count_;
  return std::nullopt;
}

void ListenerTable::drop_socket(Group& group) {
  group.sockets.pop_back();
  group.owned.pop_back();
  --socket_count_;
}

std::optional<OpenFailure> ListenerTable::create(Group& group, const net::Endpoint& key) {
  group.bound = key;
  if (key.address.is_wildcard()) group.bound.address = any_v6();
  auto failure = add_socket(group, true);
  if (key.address.is_wildcard() && no_ipv6(failure)) {
    group.bound = key;
    failure = add_socket(group, true);
  }
  return failure;
}

std::optional<OpenFailure> ListenerTable::resize(Group& group, unsigned count) {
  // A socket that nobody accepts from would swallow its share of visitors: the group has exactly `count`.
  while (group.owned.size() > count) drop_socket(group);
  while (group.owned.size() < count) {
    if (auto failure = add_socket(group, false)) return failure;
  }
  return std::nullopt;
}

std::optional<OpenFailure> ListenerTable::conflict(const net::Endpoint& key, ListenerKind kind) const {
  // The all-zero IPv6 address sorts before every other.
  for (auto place = groups_.lower_bound({any_v6(), key.port}); place != groups_.end(); ++place) {
    const auto& [held, group] = *place;
    if (held.port != key.port) break;
    const bool same = held == key;
    if (same && (!group.claimed || group.kind == kind)) continue;
    if (same || held.address.is_wildcard() || key.address.is_wildcard()) {
      const char* use = group.kind == ListenerKind::kTunnel ? "for agents" : "for visitors";
      const std::string where = held.address.is_wildcard() ? "every address" : held.address.text();
      return OpenFailure{Code::kExists, 0, fmt::format("{}, {}", where, use)};
    }
  }
  return std::nullopt;
}

ListenerTable::Opened ListenerTable::open(const net::Endpoint& endpoint, ListenerKind kind, unsigned count) {
  NFR_ASSERT(count >= 1 && count <= kSocketCountMax && kind != ListenerKind::kAdmin);
  const net::Endpoint key = key_of(endpoint);
  if (auto failure = conflict(key, kind)) return {{}, std::move(failure)};
  auto held = groups_.find(key);
  const bool fresh = held == groups_.end();
  if (fresh) {
    held = groups_.emplace(key, Group{}).first;
    ++generation_;
  }
  Group& group = held->second;
  auto failure = fresh ? create(group, key) : std::nullopt;
  if (!failure) failure = resize(group, count);
  if (failure) {
    if (fresh) close(key);
    return {{}, std::move(failure)};
  }
  group.kind = kind;
  group.claimed = true;
  return {group.sockets, std::nullopt};
}

bool ListenerTable::close(const net::Endpoint& endpoint) {
  const auto held = groups_.find(key_of(endpoint));
  if (held == groups_.end()) return false;
  socket_count_ -= held->second.owned.size();
  groups_.erase(held);
  ++generation_;
  return true;
}

void ListenerTable::forget_claims() {
  for (auto& [key, group] : groups_) group.claimed = false;
}

std::size_t ListenerTable::close_unclaimed() {
  return std::erase_if(groups_, [this](const auto& entry) {
    if (entry.second.claimed) return false;
    socket_count_ -= entry.second.owned.size();
    ++generation_;
    return true;
  });
}

std::set<std::uint16_t> ListenerTable::ports() const {
  std::set<std::uint16_t> ports;
  for (const auto& [key, group] : groups_) ports.insert(key.port.value);
  return ports;
}

std::vector<int> ListenerTable::unclaimed_public() const {
  std::vector<int> sockets;
  for (const auto& [key, group] : groups_) {
    if (group.claimed || group.kind != ListenerKind::kPublic) continue;
    sockets.insert(sockets.end(), group.sockets.begin(), group.sockets.end());
  }
  return sockets;
}

}  // namespace nfr::holder
