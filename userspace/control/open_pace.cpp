// SPDX-License-Identifier: GPL-2.0-only
#include "control/open_pace.hpp"

namespace nfr::control {
namespace {

constexpr std::size_t half(std::size_t limit) { return limit / 2 + limit % 2; }

}  // namespace

bool OpenPace::room(const Line& line, const Limits& limits) const {
  const auto count = [this](core::AgentId agent, core::Leg leg) {
    const auto found = asked_of_.find({agent, leg});
    return found != asked_of_.end() ? found->second : 0;
  };
  const std::size_t tls_of_agent = count(line.agent, core::Leg::kTls);
  const std::size_t of_agent = tls_of_agent + count(line.agent, core::Leg::kPlain);
  if (asked_.size() >= limits.all || of_agent >= half(limits.all)) return false;
  return line.leg != core::Leg::kTls || (tls_ < limits.tls && tls_of_agent < half(limits.tls));
}

void OpenPace::take(core::FlowId flow, const Line& line) {
  asked_[flow] = line;
  ++asked_of_[line];
  if (line.leg == core::Leg::kTls) ++tls_;
}

bool OpenPace::begin(core::FlowId flow, const Line& line, const Limits& limits) {
  if (asked_.contains(flow)) return true;
  if (waiting_.contains(line) || !room(line, limits)) {
    waiting_[line].push_back(flow);
    return false;
  }
  take(flow, line);
  return true;
}

void OpenPace::end(core::FlowId flow) {
  const auto found = asked_.find(flow);
  if (found == asked_.end()) return;
  const auto count = asked_of_.find(found->second);
  if (--count->second == 0) asked_of_.erase(count);
  if (found->second.leg == core::Leg::kTls) --tls_;
  asked_.erase(found);
}

/// From a line that is not empty; the same flow may stand in it more than once.
std::optional<core::FlowId> OpenPace::first_of(std::deque<core::FlowId>& line) {
  while (!line.empty()) {
    const core::FlowId flow = line.front();
    line.pop_front();
    if (!asked_.contains(flow)) return flow;
  }
  return std::nullopt;
}

std::optional<core::FlowId> OpenPace::next(const Limits& limits) {
  auto at = waiting_.upper_bound(last_);
  for (std::size_t left = waiting_.size(); left > 0; --left) {
    if (at == waiting_.end()) at = waiting_.begin();
    const auto line = at++;
    if (!room(line->first, limits)) continue;
    last_ = line->first;
    const auto flow = first_of(line->second);
    if (line->second.empty()) waiting_.erase(line);
    if (!flow) continue;
    take(*flow, last_);
    return flow;
  }
  return std::nullopt;
}

}  // namespace nfr::control
