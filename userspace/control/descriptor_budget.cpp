// SPDX-License-Identifier: GPL-2.0-only
#include "control/descriptor_budget.hpp"

#include <fmt/format.h>

#include "base/log.hpp"

namespace nfr::control {
namespace {

constexpr std::chrono::minutes kTellingPause{1};
constexpr std::chrono::seconds kOver{1};  // so long without being full

}  // namespace

bool DescriptorBudget::set(const DescriptorFacts& facts) {
  if (facts == facts_) return false;
  facts_ = facts;
  plan_ = DescriptorPlan::make(facts);
  return true;
}

void DescriptorBudget::look(std::size_t visitors) {
  const Instant now = clock_.now();
  if (visitors >= plan_.visitors_max) {
    short_ = true;
    last_short_ = now;
    if (now < next_telling_) return;
    next_telling_ = now + kTellingPause;
    told_ = true;
    spdlog::warn("{}", shortage());
    events_.note("relay", shortage());
    return;
  }
  if (!short_ || now - last_short_ < kOver) return;
  short_ = false;
  if (!std::exchange(told_, false)) return;
  spdlog::info("visitors are accepted as they come again");
  events_.note("relay", "visitors are accepted as they come again");
}

std::string DescriptorBudget::shortage() const {
  if (!short_) return {};
  return fmt::format(
      "the descriptors are used up: {} visitors are served at once, more wait to be accepted (limit {}: raise "
      "LimitNOFILE)",
      plan_.visitors_max, facts_.limit);
}

}  // namespace nfr::control
