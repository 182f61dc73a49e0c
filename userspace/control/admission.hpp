// SPDX-License-Identifier: GPL-2.0-only
// AdmissionBook: whether a new visitor may come: the mapping's lists, its limits and its agent's, and its share of the
// descriptors when they run short. Counts what runs, per mapping, agent and source, and how fast a source comes. Policy
// of the relay, on the control thread; memory for strangers is bounded.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "core/nouns.hpp"

namespace nfr::control {

/// Why a visitor was turned away.
struct Denial {
  std::string verdict;  ///< "denied": by a list; "refused": by a limit
  std::string detail;
};

/// What counts as one visitor's place: an IPv4 address, or the /64 of an IPv6 address.
net::IpAddress source_of(const net::IpAddress& visitor);

/// By the lists alone.
bool admits(const core::Admission& admission, const net::IpAddress& visitor);

class AdmissionBook {
 public:
  explicit AdmissionBook(const Clock& clock, std::size_t rate_count_max = 65'536)
      : clock_(clock), rate_count_max_(rate_count_max) {}

  /// Nothing: admitted. Takes one from the source's rate.
  std::optional<Denial> judge(const core::Mapping& mapping, const core::AgentRecord& agent,
                              const net::IpAddress& visitor);

  /// For how many visitors there are descriptors, and how many mappings may want them; 0 visitors: no bound.
  void set_places(std::size_t visitors_max, std::size_t mapping_count) {
    visitors_max_ = visitors_max;
    mapping_count_ = mapping_count;
  }

  // Every flow from its arrival to its end.
  void begin(core::MappingId mapping, core::AgentId agent, const net::IpAddress& visitor);
  void end(core::MappingId mapping, core::AgentId agent, const net::IpAddress& visitor);

  std::size_t rate_count() const { return rates_.size(); }

 private:
  using Place = std::pair<core::MappingId, net::IpAddress>;  // a mapping and a source
  struct Bucket {
    double tokens = 0;
    Instant filled;
    std::list<Place>::iterator used;  // in by_use_
  };
  std::optional<Denial> judge_lists(const core::Admission& admission, const net::IpAddress& visitor) const;
  std::optional<Denial> judge_limits(const core::Mapping& mapping, const core::AgentRecord& agent,
                                     const net::IpAddress& source) const;
  std::optional<Denial> judge_share(core::MappingId mapping) const;
  bool take_token(const Place& place, std::uint32_t rate);

  const Clock& clock_;
  const std::size_t rate_count_max_;
  std::map<core::MappingId, std::uint32_t> by_mapping_;
  std::map<core::AgentId, std::uint32_t> by_agent_;
  std::map<Place, std::uint32_t> by_place_;
  std::size_t running_ = 0;
  std::size_t visitors_max_ = 0;
  std::size_t mapping_count_ = 0;
  std::map<Place, Bucket> rates_;
  std::list<Place> by_use_;  ///< least recently used first
};

}  // namespace nfr::control
