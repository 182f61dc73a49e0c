// SPDX-License-Identifier: GPL-2.0-only
#include "channel_agent/agent.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>

#include "wire_v1/stream.hpp"

namespace channel_agent {
namespace {

using nlohmann::json;
using wire_v1::Channel;
using wire_v1::Stream;

// Refuse reasons of docs/wire-protocol.md.
constexpr int kAnswers = 0, kNotAllowed = 4, kTargetError = 7;

class Agent {
 public:
  Agent(const std::string& join_line, const Servers& servers)
      : servers_(servers), line_(wire_v1::parse_join_line(join_line)), session_(log_in()) {}

  void serve() {
    while (true) {
      const json message = json::parse(wire_v1::read_message(session_));
      const std::string type = message.at("type");
      if (type == "bye") return;
      if (type == "welcome") greet(message);
      if (type == "ping") reply({{"type", "pong"}, {"number", message.at("number")}});
      if (type == "probe") probe(message);
      if (type == "open") open(message);
    }
  }

 private:
  Stream log_in() {
    const wire_v1::Identity identity;
    Stream session = wire_v1::open_session(line_.relays.at(0), identity);
    const wire_v1::Bytes pin = wire_v1::peer_pin(session);
    if (pin != line_.pins[0] && pin != line_.pins[1]) throw std::runtime_error("the relay's key is not pinned");
    secrets_ = wire_v1::export_secrets(session);
    const json hello = {{"type", "hello"},
                        {"version", 1},
                        {"instance", wire_v1::hex64(std::random_device()())},
                        {"software", "nf-channel-agent"},
                        {"leg_min", "plain"},
                        {"enroll", {{"name", line_.agent}, {"token", wire_v1::to_base64url(line_.token)}}}};
    wire_v1::send_message(session, hello.dump());
    return session;
  }

  void reply(const json& message) { wire_v1::send_message(session_, message.dump()); }

  void greet(const json& welcome) {
    session_id_ = wire_v1::from_hex64(welcome.at("session"));
    std::cout << "ready" << std::endl;
  }

  /// nullptr: no server stands for this target.
  const Handover* server_of(const std::string& target) const {
    const auto found = servers_.find(target.substr(target.rfind(':') + 1));
    return found == servers_.end() ? nullptr : &found->second;
  }

  void probe(const json& message) {
    const int reason = server_of(message.at("target")) ? kAnswers : kNotAllowed;
    reply({{"type", "probe_result"}, {"number", message.at("number")}, {"reason", reason}, {"dial_us", 0}});
  }

  void open(const json& message) {
    const Handover* server = server_of(message.at("target"));
    const bool plain = message.at("leg") == "plain";
    if (server == nullptr || !plain)
      return reply(
          {{"type", "open_failed"}, {"number", message.at("number")}, {"reason", plain ? kNotAllowed : kTargetError}});
    try {
      open_channel(message, *server);
    } catch (const std::runtime_error& problem) {  // this channel's alone: its visitor may be gone
      std::cerr << "channel: " << problem.what() << std::endl;
    }
  }

  void open_channel(const json& message, const Handover& server) {
    const Channel channel{session_id_, wire_v1::from_hex64(message.at("number"))};
    Stream stream(wire_v1::dial(line_.relays[0]));
    const int on = 1;
    setsockopt(stream.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    stream.write_all(wire_v1::preface(secrets_, channel));
    const wire_v1::Start start = wire_v1::parse_start(secrets_, channel, stream.read_exactly(wire_v1::kStartBytes));
    if (start.mapping != wire_v1::from_hex64(message.at("mapping")))
      throw std::runtime_error("START of another mapping");
    stream.write_all(wire_v1::answer(secrets_, channel, {start.flow, kAnswers, 0}));
    server.give(stream.fd());
  }

  const Servers& servers_;
  const wire_v1::JoinLine line_;
  wire_v1::Secrets secrets_;
  std::uint64_t session_id_ = 0;
  Stream session_;
};

}  // namespace

void run_agent(const std::string& join_line, const Servers& servers) { Agent(join_line, servers).serve(); }

}  // namespace channel_agent
