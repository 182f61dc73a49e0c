// SPDX-License-Identifier: GPL-2.0-only
// The agent's files: relay.json (membership), relay.key (PEM) and allow.json, each with the same bytes. Damage is an
// error that can be printed; a membership that was read is whole.
#include "agent/state.hpp"

#include "core/allow_list.hpp"
#include "fuzz/memory_directory.hpp"
#include "fuzz/target.hpp"

namespace {

using namespace nfr;

template <class T>
void error_printable(const Result<T>& result) {
  if (!result) NFR_HOLDS(fuzz::printable(result.error().message()));
}

void read_membership(const std::string& directory) {
  const auto state = agent::State::open(directory);
  NFR_HOLDS(state.ok());
  const auto membership = state->load();
  error_printable(membership);
  if (membership) NFR_HOLDS(!membership->addresses.empty() && membership->identity != nullptr);
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  static const MemoryDirectory kDirectory;
  static const bool kKeyed = (*tls::Identity::generate())->save(kDirectory.path() + "/relay.key").ok();
  NFR_HOLDS(kKeyed);
  kDirectory.write("relay.json", input);
  kDirectory.write("allow.json", input);
  kDirectory.write("other.key", input);
  read_membership(kDirectory.path());
  error_printable(tls::Identity::load(kDirectory.path() + "/other.key"));
  const auto rules = agent::State::allowed_rules(kDirectory.path());
  error_printable(rules);
  if (rules) error_printable(core::AllowList::parse(*rules));
}
