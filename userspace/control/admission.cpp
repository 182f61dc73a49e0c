// SPDX-License-Identifier: GPL-2.0-only
#include "control/admission.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nfr::control {
namespace {

const net::Network* matching(const std::vector<net::Network>& networks, const net::IpAddress& address) {
  const auto found =
      std::find_if(networks.begin(), networks.end(), [&](const auto& each) { return each.contains(address); });
  return found != networks.end() ? &*found : nullptr;
}

template <class Key>
std::uint32_t count_of(const std::map<Key, std::uint32_t>& counts, const Key& key) {
  const auto found = counts.find(key);
  return found != counts.end() ? found->second : 0;
}

template <class Key>
void take_one(std::map<Key, std::uint32_t>& counts, const Key& key) {
  const auto found = counts.find(key);
  NFR_ASSERT(found != counts.end());
  if (--found->second == 0) counts.erase(found);
}

}  // namespace

net::IpAddress source_of(const net::IpAddress& visitor) {
  if (visitor.is_v4()) return visitor;
  auto bytes = visitor.bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return net::IpAddress::v6(bytes);
}

bool admits(const core::Admission& admission, const net::IpAddress& visitor) {
  if (matching(admission.deny, visitor) != nullptr) return false;
  return admission.allow.empty() || matching(admission.allow, visitor) != nullptr;
}

std::optional<Denial> AdmissionBook::judge_lists(const core::Admission& admission,
                                                 const net::IpAddress& visitor) const {
  if (const auto* rule = matching(admission.deny, visitor)) return Denial{"denied", "rule deny " + rule->text()};
  if (admits(admission, visitor)) return std::nullopt;
  return Denial{"denied", "not in the allow list"};
}

std::optional<Denial> AdmissionBook::judge_limits(const core::Mapping& mapping, const core::AgentRecord& agent,
                                                  const net::IpAddress& source) const {
  const core::Admission& limits = mapping.admission;
  const auto reached = [](std::uint32_t running, std::uint32_t most) { return most != 0 && running >= most; };
  if (reached(count_of(by_mapping_, mapping.id), limits.flows_max)) {
    return Denial{"refused", fmt::format("the mapping has its {} flows (--max-flows)", limits.flows_max)};
  }
  if (reached(count_of(by_place_, Place{mapping.id, source}), limits.flows_per_source_max)) {
    return Denial{"refused",
                  fmt::format("{} has its {} flows (--max-per-source)", source.text(), limits.flows_per_source_max)};
  }
  if (reached(count_of(by_agent_, agent.id), agent.rights.flows_max)) {
    return Denial{"refused",
                  fmt::format("agent {} has its {} flows (agent set --max-flows)", agent.name, agent.rights.flows_max)};
  }
  return std::nullopt;
}

std::optional<Denial> AdmissionBook::judge(const core::Mapping& mapping, const core::AgentRecord& agent,
                                           const net::IpAddress& visitor) {
  if (auto denial = judge_lists(mapping.admission, visitor)) return denial;
  const net::IpAddress source = source_of(visitor);
  const std::uint32_t rate = mapping.admission.rate_per_source;
  if (rate != 0 && !take_token({mapping.id, source}, rate)) {
    return Denial{"refused", fmt::format("{} comes more than {} times a second (--rate)", source.text(), rate)};
  }
  if (auto denial = judge_limits(mapping, agent, source)) return denial;
  return judge_share(mapping.id);
}

/// The last quarter is for mappings that have less than an equal share among those that have flows and one that may
/// come. A relay's only mapping takes it all: its visitors then wait to be accepted.
std::optional<Denial> AdmissionBook::judge_share(core::MappingId mapping) const {
  if (visitors_max_ == 0 || mapping_count_ < 2 || running_ < visitors_max_ - visitors_max_ / 4) return std::nullopt;
  const std::size_t have = count_of(by_mapping_, mapping);
  const std::size_t others = by_mapping_.size() - (have > 0 ? 1 : 0);
  const std::size_t share = std::max<std::size_t>(visitors_max_ / (others + 2), 1);
  if (have < share) return std::nullopt;
  return Denial{"refused", fmt::format("the relay is short of descriptors ({} of {} visitors) and the mapping has its "
                                       "share of {} flows",
                                       running_, visitors_max_, share)};
}

bool AdmissionBook::take_token(const Place& place, std::uint32_t rate) {
  const Instant now = clock_.now();
  auto found = rates_.find(place);
  if (found == rates_.end()) {
    if (rates_.size() >= rate_count_max_) {
      rates_.erase(by_use_.front());
      by_use_.pop_front();
    }
    by_use_.push_back(place);
    found = rates_.emplace(place, Bucket{static_cast<double>(rate), now, std::prev(by_use_.end())}).first;
  }
  Bucket& bucket = found->second;
  by_use_.splice(by_use_.end(), by_use_, bucket.used);
  const double seconds = std::chrono::duration<double>(now - bucket.filled).count();
  bucket.tokens = std::min<double>(rate, bucket.tokens + seconds * rate);
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

void AdmissionBook::begin(core::MappingId mapping, core::AgentId agent, const net::IpAddress& visitor) {
  ++running_;
  ++by_mapping_[mapping];
  ++by_agent_[agent];
  ++by_place_[{mapping, source_of(visitor)}];
}

void AdmissionBook::end(core::MappingId mapping, core::AgentId agent, const net::IpAddress& visitor) {
  --running_;
  take_one(by_mapping_, mapping);
  take_one(by_agent_, agent);
  take_one(by_place_, Place{mapping, source_of(visitor)});
}

}  // namespace nfr::control
