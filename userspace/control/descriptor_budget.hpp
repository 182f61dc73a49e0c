// SPDX-License-Identifier: GPL-2.0-only
// DescriptorBudget: the plan in force, and whether visitors wait because it is used up; says so once a minute. Policy
// of the relay, on the control thread; who is accepted when is the data plane's business.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "control/descriptor_plan.hpp"
#include "control/event_book.hpp"

namespace nfr::control {

class DescriptorBudget {
 public:
  DescriptorBudget(EventBook& events, const Clock& clock) : events_(events), clock_(clock) {}

  /// True: the plan is another now.
  bool set(const DescriptorFacts& facts);
  const DescriptorPlan& plan() const { return plan_; }
  /// `visitors`: the most there were since the last call.
  void look(std::size_t visitors);
  /// For people: that visitors wait, and what to do; empty: they do not.
  std::string shortage() const;

 private:
  EventBook& events_;
  const Clock& clock_;
  DescriptorFacts facts_;
  DescriptorPlan plan_{.visitors_max = SIZE_MAX, .pool_max = SIZE_MAX};
  bool short_ = false;
  bool told_ = false;  // of this shortage
  Instant last_short_{};
  Instant next_telling_{};
};

}  // namespace nfr::control
