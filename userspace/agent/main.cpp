// SPDX-License-Identifier: GPL-2.0-only
// nfagent: runs on the machine behind NAT.
#include <fmt/format.h>

#include <cstdio>

#include "agent/expose_client.hpp"
#include "agent/process.hpp"
#include "agent/state.hpp"
#include "agent/status_client.hpp"
#include "base/fatal.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace nfr::agent {
namespace {

int refuse(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message().c_str());
  return error.code() == Code::kInvalid ? 2 : 1;
}

int allow(const Options& options) {
  if (!options.rules.empty()) {
    const Status added = State::add_allowed_rules(options.directories.state, options.rules);
    if (!added) return refuse(added.error());
  }
  const auto rules = State::allowed_rules(options.directories.state);
  if (!rules) return refuse(rules.error());
  fmt::print("the relay may reach: {} (agent.toml)", options.config.allow_targets.text());
  for (const std::string& rule : *rules) fmt::print(", {}", escape(rule));
  fmt::print("\n");
  return 0;
}

int run(int argc, char** argv) {
  const auto parsed = parse_command_line(argc, argv);
  if (!parsed) return refuse(parsed.error());
  if (!parsed->options) {
    std::fputs(parsed->print.c_str(), stdout);
    return 0;
  }
  log_init("nfagent");
  if (parsed->options->verb == Verb::kAllow) return allow(*parsed->options);
  if (parsed->options->verb == Verb::kExpose) return run_expose(*parsed->options);
  if (parsed->options->verb == Verb::kStatus) return run_status(*parsed->options);
  return run_agent(*parsed->options);
}

}  // namespace
}  // namespace nfr::agent

int main(int argc, char** argv) {
  nfr::end_when_out_of_memory();
  return nfr::agent::run(argc, argv);
}
