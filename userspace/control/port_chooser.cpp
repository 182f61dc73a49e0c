// SPDX-License-Identifier: GPL-2.0-only
#include "control/port_chooser.hpp"

#include <algorithm>

namespace nfr::control {
namespace {

// FNV-1a: spreads names over the range; nothing depends on it being hard to guess.
std::uint64_t hash(std::string_view text, std::uint64_t seed = 14695981039346656037U) {
  for (const char c : text) seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return seed;
}

}  // namespace

net::Port PortChooser::after(net::Port port) {
  return {port.value < kLow || port.value == kHigh ? kLow : static_cast<std::uint16_t>(port.value + 1)};
}

void PortChooser::remember(const core::PortMemory& memory) {
  std::erase_if(memories_, [&](const auto& old) { return old.agent == memory.agent && old.target == memory.target; });
  memories_.push_back(memory);
}

void PortChooser::forget(core::AgentId agent) {
  std::erase_if(memories_, [&](const auto& memory) { return memory.agent == agent; });
}

const core::PortMemory* PortChooser::memory_of(core::AgentId agent, const std::string& target) const {
  const auto found = std::find_if(memories_.begin(), memories_.end(),
                                  [&](const auto& each) { return each.agent == agent && each.target == target; });
  return found != memories_.end() ? &*found : nullptr;
}

std::optional<net::Port> PortChooser::choose(core::AgentId agent, std::string_view agent_name,
                                             const std::string& target, const Taken& taken) const {
  const core::PortMemory* own = memory_of(agent, target);
  if (own != nullptr && !taken(own->port)) return own->port;
  std::set<net::Port> remembered;
  for (const auto& memory : memories_) remembered.insert(memory.port);
  constexpr std::uint64_t kSpan = kHigh - kLow + 1;
  // From the memory on where there is one: what lies before it was tried, and belongs to other programs.
  const bool usable = own != nullptr && own->port.value >= kLow;
  const std::uint64_t begin = usable ? own->port.value - kLow : hash(target, hash(agent_name)) % kSpan;
  for (const bool spare_others : {true, false}) {
    for (std::uint64_t step = 0; step < kSpan; ++step) {
      const net::Port port{static_cast<std::uint16_t>(kLow + (begin + step) % kSpan)};
      if (!taken(port) && !(spare_others && remembered.contains(port))) return port;
    }
  }
  return std::nullopt;
}

}  // namespace nfr::control
