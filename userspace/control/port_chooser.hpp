// SPDX-License-Identifier: GPL-2.0-only
// PortChooser: which public port an agent's target gets when nobody names one: the one it had, else one that follows
// from its names, so that even a lost memory gives the same again. Pure policy, on the control thread.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/nouns.hpp"

namespace nfr::control {

class PortChooser {
 public:
  static constexpr std::uint16_t kLow = 30'000;
  static constexpr std::uint16_t kHigh = 65'535;

  void load(const std::vector<core::PortMemory>& memories) { memories_ = memories; }
  void remember(const core::PortMemory& memory);
  void forget(core::AgentId agent);

  /// The next port of the range, around its end.
  static net::Port after(net::Port port);

  using Taken = std::function<bool(net::Port)>;
  /// A port for the agent's target that is not `taken`, preferring its own memory, avoiding those of others while any
  /// other is left. Nothing when all are taken.
  std::optional<net::Port> choose(core::AgentId agent, std::string_view agent_name, const std::string& target,
                                  const Taken& taken) const;

 private:
  const core::PortMemory* memory_of(core::AgentId agent, const std::string& target) const;
  std::vector<core::PortMemory> memories_;
};

}  // namespace nfr::control
