// SPDX-License-Identifier: GPL-2.0-only
// An agent of protocol version 1: one thread reads the session, one thread serves each channel. Frozen: see codec.hpp.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <thread>

#include "wire_v1/peer.hpp"
#include "wire_v1/stream.hpp"

namespace wire_v1 {
namespace {

using nlohmann::json;

void say(const json& event) {
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  std::cout << event.dump() << std::endl;
}

// A port alone is the agent's own machine.
std::string dialled(const std::string& target) {
  return target.find(':') == std::string::npos ? "127.0.0.1:" + target : target;
}

class Agent {
 public:
  explicit Agent(const AgentOptions& options)
      : options_(options), line_(parse_join_line(options.join_line)), session_(log_in()) {}

  void serve() {
    while (true) {
      const json message = json::parse(read_message(session_));
      const std::string type = message.at("type");
      if (type == "bye") return say(message);
      if (type == "welcome") greet(message);
      if (type == "ping") reply({{"type", "pong"}, {"number", message.at("number")}});
      if (type == "probe") probe(message);
      if (type == "open") std::thread([this, message] { serve_channel(message); }).detach();
      if (type == "declared" || type == "notice") say(message);
    }
  }

 private:
  Stream log_in() {
    Stream session = open_session(line_.relays.at(0), identity_);
    const Bytes pin = peer_pin(session);
    if (pin != line_.pins[0] && pin != line_.pins[1]) throw std::runtime_error("the relay's key is not pinned");
    secrets_ = export_secrets(session);
    json hello = {{"type", "hello"},
                  {"version", options_.version},
                  {"instance", hex64(std::random_device()())},
                  {"software", "nf-v1-peer"},
                  {"leg_min", "plain"},
                  {"enroll", {{"name", line_.agent}, {"token", to_base64url(line_.token)}}}};
    if (options_.oldest != 0) hello["oldest"] = options_.oldest;
    send_message(session, hello.dump());
    return session;
  }

  void reply(const json& message) {
    const std::scoped_lock lock(mutex_);
    send_message(session_, message.dump());
  }

  void greet(const json& welcome) {
    session_id_ = from_hex64(welcome.at("session"));
    say(welcome);
    json wishes = json::array();
    for (const std::string& wish : options_.wishes) {
      const std::size_t equals = wish.find('=');
      wishes.push_back({{"public", wish.substr(0, equals)}, {"target", wish.substr(equals + 1)}, {"leg", "plain"}});
    }
    reply({{"type", "declare"}, {"serial", 1}, {"wishes", wishes}});
  }

  void probe(const json& message) {
    int reason = 0;
    try {
      close(dial(dialled(message.at("target"))));
    } catch (const std::runtime_error&) {
      reason = 1;
    }
    reply({{"type", "probe_result"}, {"number", message.at("number")}, {"reason", reason}, {"dial_us", 100}});
  }

  void serve_channel(const json& open) {
    const Channel channel{session_id_, from_hex64(open.at("number"))};
    try {
      const std::string leg = open.at("leg");
      Stream stream = leg == "tls" ? open_tls_channel(line_.relays[0], channel, channel_psk(secrets_, channel))
                                   : Stream(dial(line_.relays[0]));
      stream.write_all(preface(secrets_, channel));
      const Start begin = parse_start(secrets_, channel, stream.read_exactly(kStartBytes));
      if (begin.mapping != from_hex64(open.at("mapping"))) throw std::runtime_error("START of another mapping");
      say({{"type", "start"}, {"leg", leg}, {"visitor", begin.visitor}, {"public", begin.public_address}});
      Stream target(dial(dialled(open.at("target"))));
      stream.write_all(answer(secrets_, channel, {begin.flow, 0, 100}));
      join_streams(stream, target);
      say({{"type", "end"}, {"visitor", begin.visitor}});
    } catch (const std::exception& problem) {
      say({{"type", "broken"}, {"why", problem.what()}});
    }
  }

  const AgentOptions& options_;
  const JoinLine line_;
  const Identity identity_;
  Secrets secrets_;
  std::uint64_t session_id_ = 0;
  std::mutex mutex_;
  Stream session_;
};

}  // namespace

void run_agent(const AgentOptions& options) {
  Agent agent(options);
  agent.serve();
}

}  // namespace wire_v1
