// SPDX-License-Identifier: GPL-2.0-only
#include "agent/targets.hpp"

#include <ifaddrs.h>

#include <cstring>

#include "agent/state.hpp"
#include "base/log.hpp"

namespace nfr::agent {
namespace {

constexpr std::chrono::seconds kRefresh{1};

std::vector<net::IpAddress> own_addresses() {
  std::vector<net::IpAddress> out;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return out;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    const bool v4 = entry->ifa_addr->sa_family == AF_INET;
    if (!v4 && entry->ifa_addr->sa_family != AF_INET6) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ifa_addr, v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    out.push_back(net::Endpoint::from_sockaddr(storage).address);
  }
  ::freeifaddrs(list);
  return out;
}

}  // namespace

bool Targets::allowed(const net::Endpoint& target) {
  if (clock_.now() >= next_refresh_) refresh();
  if (configured_.check(target, own_)) return true;
  return has_added_ && added_.check(target, own_).ok();
}

bool Targets::allowed_unix(const std::string& path) {
  if (clock_.now() >= next_refresh_) refresh();
  return configured_.check_unix(path).ok() || (has_added_ && added_.check_unix(path).ok());
}

bool Targets::allowed(const core::Target& target) {
  switch (target.kind) {
    case core::Target::Kind::kAddress: return allowed(target.endpoint);
    case core::Target::Kind::kUnix: return allowed_unix(target.name);
    case core::Target::Kind::kHost: return true;
  }
  return false;
}

Status Targets::check(const core::Target& target) {
  if (allowed(target)) return {};
  return target.kind == core::Target::Kind::kUnix ? configured_.check_unix(target.name)
                                                  : configured_.check(target.endpoint, own_);
}

void Targets::refresh() {
  next_refresh_ = clock_.now() + kRefresh;
  own_ = own_addresses();
  const auto rules = State::allowed_rules(state_dir_);
  auto parsed = rules ? core::AllowList::parse(*rules) : Result<core::AllowList>(rules.error());
  const std::string complaint = parsed ? "" : parsed.error().message();
  if (!complaint.empty() && complaint != complaint_) spdlog::error("allowed targets: {}", complaint);
  complaint_ = complaint;
  if (!parsed) {
    // Nothing is allowed by a list that cannot be read.
    has_added_ = false;
    return;
  }
  has_added_ = !rules->empty();
  added_ = std::move(*parsed);
}

}  // namespace nfr::agent
