// SPDX-License-Identifier: GPL-2.0-only
// Text of agent.toml: a config, or one line that names the file and can be printed.
#include "config/agent_config.hpp"

#include "fuzz/target.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto config = config::parse_agent_config(input, "agent.toml");
  if (config) return NFR_HOLDS(printable(config->allow_targets.text()));
  NFR_HOLDS(config.error().code() == Code::kInvalid);
  NFR_HOLDS(config.error().message().starts_with("agent.toml, line "));
  NFR_HOLDS(printable(config.error().message()));
}
