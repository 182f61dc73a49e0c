// SPDX-License-Identifier: GPL-2.0-only
// Text of relay.toml: a config, or one line that names the file and can be printed.
#include "config/relay_config.hpp"

#include "fuzz/target.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto config = config::parse_relay_config(input, "relay.toml");
  if (config) return NFR_HOLDS(!config->listen.empty() && config->worker_count(64) <= 64);
  NFR_HOLDS(config.error().code() == Code::kInvalid);
  NFR_HOLDS(config.error().message().starts_with("relay.toml, line "));
  NFR_HOLDS(printable(config.error().message()));
}
