// SPDX-License-Identifier: GPL-2.0-only
#include "control/channel_pool.hpp"

#include <algorithm>
#include <vector>

namespace nfr::control {
namespace {

constexpr std::size_t kAgentMax = 64;  // ready and asked for, an agent
constexpr std::size_t kAtOnceMax = 8;  // asked for together while visitors come
constexpr int kIdleAges = 10;          // a port without visitors for so many ages has nothing ready
constexpr Millis kRetryMin{1000};
constexpr Millis kFresh{1000};
constexpr unsigned kRetryDoublings = 6;
// The agent waits longer than we keep the channel, so that it is ours to end it.
constexpr Millis kWaitMore{15'000};
// Flow ids count up from 1: a number with this bit is never one of them.
constexpr std::uint64_t kOurs = std::uint64_t{1} << 63;

}  // namespace

ChannelPool::Entry& ChannelPool::entry_for(const Place& place, const Wanted& wanted) {
  const auto found = entries_.try_emplace(place, settings_.age * kIdleAges).first;
  Entry& entry = found->second;
  if (entry.session != wanted.session->id || !(entry.open == wanted.open)) {
    clear(place, entry);
    entry.open = wanted.open;
    entry.agent = wanted.session->agent;
    entry.session = wanted.session->id;
  }
  return entry;
}

std::optional<ChannelPool::Ready> ChannelPool::take(const Place& place, const Wanted& wanted) {
  if (!wanted.session->keeps_channels || settings_.count_max == 0) return std::nullopt;
  Entry& entry = entry_for(place, wanted);
  entry.plan.on_visitor(clock_.now());
  std::optional<Ready> taken;
  if (!entry.ready.empty()) {
    const core::ChannelRef channel = entry.ready.back();  // the youngest: the others may go by their age
    entry.ready.pop_back();
    const Kept& kept = ready_.at(channel);
    taken = Ready{channel, kept.number, clock_.now() - kept.since < kFresh};
    ready_.erase(channel);
  }
  ++(taken ? counts_.hits : counts_.misses);
  return taken;
}

void ChannelPool::replace(const Place& place) {
  const auto found = entries_.find(place);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  // Several at once cost the agent, and its connection, much less than one by one.
  const std::size_t wanted = std::min(entry.plan.wanted(clock_.now()), kAgentMax);
  const std::size_t slack = std::min(wanted / 4, kAtOnceMax);
  if (entry.ready.size() + entry.asked + slack <= wanted || entry.ready.empty()) refill(place, entry);
}

/// Ready and asked for are bounded (count_max), ports are not: a visitor must not cost a look at every port.
std::size_t ChannelPool::held_by(core::AgentId agent) const {
  const auto is_his = [&](const auto& held) { return held.second.agent == agent; };
  return static_cast<std::size_t>(std::ranges::count_if(ready_, is_his) + std::ranges::count_if(asked_, is_his));
}

std::size_t ChannelPool::ready_of(core::AgentId agent) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(ready_, [&](const auto& kept) { return kept.second.agent == agent; }));
}

std::size_t ChannelPool::ready_at(const Place& place) const {
  const auto found = entries_.find(place);
  return found != entries_.end() ? found->second.ready.size() : 0;
}

std::size_t ChannelPool::wanted_count() const {
  std::size_t count = 0;
  for (const auto& [place, entry] : entries_) count += entry.plan.wanted(clock_.now());
  return count;
}

void ChannelPool::refill(const Place& place, Entry& entry) {
  if (count_max() == 0) return;
  const Instant now = clock_.now();
  const std::size_t wanted = std::min(entry.plan.wanted(now), kAgentMax);
  if (entry.ready.size() + entry.asked >= wanted || now < entry.retry_at) return;
  std::size_t of_agent = held_by(entry.agent);
  while (entry.ready.size() + entry.asked < wanted && entry.failures == 0 && may_ask(entry)) {
    if (of_agent++ >= kAgentMax || held() >= count_max()) {
      if (!make_room(entry)) return;
    }
    ask(place, entry);
  }
  // After a failure one is asked for at a time.
  if (entry.failures > 0 && entry.asked == 0 && may_ask(entry) && of_agent < kAgentMax && held() < count_max())
    ask(place, entry);
}

/// As OpenPace: the relay takes only so many channels at once, visitors come first, and one agent has half of the room.
bool ChannelPool::may_ask(const Entry& entry) const {
  const auto count = [this](const auto& matches) {
    return static_cast<std::size_t>(
        std::ranges::count_if(asked_, [&](const auto& one) { return matches(one.second); }));
  };
  const auto is_his = [&](const Asked& asked) { return asked.agent == entry.agent; };
  const auto is_tls = [](const Asked& asked) { return asked.leg == core::Leg::kTls; };
  if (asked_.size() >= asked_max_ || 2 * count(is_his) > asked_max_) return false;
  if (entry.open.leg != core::Leg::kTls) return true;
  const std::size_t his = count([&](const Asked& asked) { return is_his(asked) && is_tls(asked); });
  return count(is_tls) < settings_.tls_asked_max && 2 * his <= settings_.tls_asked_max;
}

/// A port of the same agent, or of any where the whole is full, that was visited longest ago gives one up, if the
/// entry has none.
bool ChannelPool::make_room(const Entry& entry) {
  if (!entry.ready.empty() || entry.asked > 0) return false;
  const bool agent_full = held_by(entry.agent) >= kAgentMax;
  Entry* oldest = nullptr;
  for (auto& [place, other] : entries_) {
    if (other.ready.empty() || (agent_full && other.agent != entry.agent)) continue;
    if (other.plan.last_visit() >= entry.plan.last_visit()) continue;
    if (oldest == nullptr || other.plan.last_visit() < oldest->plan.last_visit()) oldest = &other;
  }
  if (oldest == nullptr) return false;
  end(oldest->ready.front(), &Counts::given_up);
  return true;
}

void ChannelPool::ask(const Place& place, Entry& entry) {
  proto::Open open = entry.open;
  open.number = kOurs | ++last_number_;
  open.wait = std::min(settings_.age + kWaitMore, Millis{NFR_CHANNEL_WAIT_MS_MAX});
  ++entry.asked;
  asked_[open.number] = Asked{place, entry.agent, entry.session, open.leg, clock_.now()};
  sessions_.send(entry.agent, open);
}

bool ChannelPool::expects(core::SessionId session, std::uint64_t number) const {
  const auto found = asked_.find(number);
  return found != asked_.end() && found->second.session == session;
}

void ChannelPool::on_channel(core::ChannelRef channel, std::uint64_t number, core::Leg leg) {
  const auto found = asked_.find(number);
  const Instant now = clock_.now();
  if (found->second.leg != leg || now - found->second.at > settings_.open_timeout) return plane_.reject(channel);
  const Asked asked = found->second;
  asked_.erase(found);
  Entry& entry = entries_.at(asked.place);
  --entry.asked;
  entry.failures = 0;
  if (ready_.size() >= count_max()) {  // it shrank meanwhile
    ++counts_.given_up;
    return plane_.reject(channel);
  }
  entry.plan.on_refill(std::chrono::duration_cast<Micros>(now - asked.at));
  entry.ready.push_back(channel);
  ready_[channel] = Kept{asked.place, asked.agent, number, now};
  plane_.keep(channel);
}

void ChannelPool::fail(std::map<std::uint64_t, Asked>::iterator asked) {
  Entry& entry = entries_.at(asked->second.place);
  --entry.asked;
  entry.retry_at = clock_.now() + kRetryMin * (1U << std::min(entry.failures, kRetryDoublings));
  ++entry.failures;
  ++counts_.failed;
  asked_.erase(asked);
}

void ChannelPool::on_open_failed(core::AgentId agent, std::uint64_t number) {
  const auto found = asked_.find(number);
  if (found != asked_.end() && found->second.agent == agent) fail(found);
}

void ChannelPool::on_channel_gone(core::ChannelRef channel) {
  const auto found = ready_.find(channel);
  if (found == ready_.end()) return;  // ended from here meanwhile
  std::erase(entries_.at(found->second.place).ready, channel);
  ready_.erase(found);
  ++counts_.died;
}

void ChannelPool::end(core::ChannelRef channel, std::uint64_t Counts::*why) {
  const auto found = ready_.find(channel);
  std::erase(entries_.at(found->second.place).ready, channel);
  ready_.erase(found);
  ++(counts_.*why);
  plane_.reject(channel);
}

void ChannelPool::clear(const Place& place, Entry& entry) {
  while (!entry.ready.empty()) end(entry.ready.front(), &Counts::aged);
  if (entry.asked > 0) std::erase_if(asked_, [&](const auto& asked) { return asked.second.place == place; });
  entry.asked = 0;
  entry.failures = 0;
  entry.retry_at = {};
}

void ChannelPool::on_session_change(core::AgentId agent) {
  const SessionBook::Session* session = sessions_.active(agent);
  for (auto& [place, entry] : entries_) {
    if (entry.agent == agent && (session == nullptr || entry.session != session->id)) clear(place, entry);
  }
}

void ChannelPool::end_old(Instant now) {
  std::vector<core::ChannelRef> old;
  for (const auto& [channel, kept] : ready_) {
    if (now - kept.since >= settings_.age) old.push_back(channel);
  }
  for (const core::ChannelRef channel : old) end(channel, &Counts::aged);
  for (auto next = asked_.begin(); next != asked_.end();) {
    const auto asked = next++;
    if (now - asked->second.at > settings_.open_timeout) fail(asked);
  }
}

void ChannelPool::tick(const Look& look) {
  const Instant now = clock_.now();
  end_old(now);
  for (auto next = entries_.begin(); next != entries_.end();) {
    const auto at = next++;
    auto& [place, entry] = *at;
    const auto wanted = look(place);
    const bool served = wanted && wanted->session != nullptr && wanted->session->keeps_channels && count_max() > 0;
    if (served && entry.plan.wanted(now) > 0) {
      refill(place, entry_for(place, *wanted));
      continue;
    }
    clear(place, entry);
    // A port whose agent is away is remembered: it is warm again as soon as the agent is back.
    if (!wanted || entry.plan.wanted(now) == 0) entries_.erase(at);
  }
  while (held() > count_max() && !ready_.empty()) give_up(1);
}

void ChannelPool::give_up(std::size_t count) {
  for (; count > 0 && !ready_.empty(); --count) {
    const auto idlest = std::min_element(ready_.begin(), ready_.end(), [this](const auto& a, const auto& b) {
      return entries_.at(a.second.place).plan.last_visit() < entries_.at(b.second.place).plan.last_visit();
    });
    end(idlest->first, &Counts::given_up);
  }
}

}  // namespace nfr::control
