// SPDX-License-Identifier: GPL-2.0-only
// nf-channel-agent JOIN-LINE PORT=UNIX-SOCKET...: channels that end in nf-load, see agent.hpp. Exit code 0 when the
// relay said goodbye, 1 otherwise, 2 wrong use.
#include <csignal>
#include <exception>
#include <iostream>
#include <string>

#include "channel_agent/agent.hpp"

namespace {

int wrong() {
  std::cerr << "usage: nf-channel-agent JOIN-LINE PORT=UNIX-SOCKET...\n";
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc < 3) return wrong();
  try {
    channel_agent::Servers servers;
    for (int i = 2; i < argc; ++i) {
      const std::string text = argv[i];
      const std::size_t equals = text.find('=');
      if (equals == std::string::npos) return wrong();
      servers.emplace(text.substr(0, equals), channel_agent::Handover(text.substr(equals + 1)));
    }
    channel_agent::run_agent(argv[1], servers);
    return 0;
  } catch (const std::exception& problem) {
    std::cerr << "error: nf-channel-agent: " << problem.what() << "\n";
    return 1;
  }
}
