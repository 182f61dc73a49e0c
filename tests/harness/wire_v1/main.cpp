// SPDX-License-Identifier: GPL-2.0-only
// nf-v1-peer agent|relay: the peer of tests/netns/version_skew.py. Frozen: see codec.hpp. Exit code 0 when all went as
// protocol version 1 says, 1 otherwise.
#include <csignal>
#include <cxxopts.hpp>
#include <iostream>

#include "wire_v1/peer.hpp"

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  wire_v1::AgentOptions agent;
  wire_v1::RelayOptions relay;
  std::string role;
  cxxopts::Options options("nf-v1-peer", "speaks version 1 of the protocol between agent and relay");
  options.add_options()("role", "agent or relay", cxxopts::value(role))(
      "join", "agent: the join line", cxxopts::value(agent.join_line))("wish", "agent: PUBLIC=TARGET to declare",
                                                                       cxxopts::value(agent.wishes))(
      "claim", "the version that hello or welcome claims", cxxopts::value<int>())(
      "oldest", "agent: the oldest version that hello claims", cxxopts::value(agent.oldest))(
      "listen", "relay: ADDRESS:PORT", cxxopts::value(relay.listen))("name", "relay: the agent it expects",
                                                                     cxxopts::value(relay.agent))(
      "target", "relay: an echo server, as the agent dials it", cxxopts::value(relay.target))(
      "bytes", "relay: how many to echo a leg", cxxopts::value(relay.bytes))("refuse", "relay: refuse the version",
                                                                             cxxopts::value(relay.refuse));
  options.parse_positional("role");
  try {
    const auto flags = options.parse(argc, argv);
    if (flags.count("claim") > 0) agent.version = relay.version = flags["claim"].as<int>();
    if (role != "agent" && role != "relay") throw std::runtime_error("role '" + role + "': expected agent or relay");
    role == "agent" ? run_agent(agent) : run_relay(relay);
    return 0;
  } catch (const std::exception& problem) {
    std::cerr << "error: " << problem.what() << "\n";
    return 1;
  }
}
