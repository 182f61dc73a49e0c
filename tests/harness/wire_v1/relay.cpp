// SPDX-License-Identifier: GPL-2.0-only
// A relay of protocol version 1 that is its own visitor: it sends a pattern through each leg and expects it back.
// Frozen: see codec.hpp. One thread: what the agent sends between, pings and wishes, is answered where it comes.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "wire_v1/peer.hpp"
#include "wire_v1/stream.hpp"

namespace wire_v1 {
namespace {

using nlohmann::json;

constexpr std::uint64_t kSession = 0x1122334455667788, kMapping = 0x99;

void say(const json& event) { std::cout << event.dump() << std::endl; }

Bytes pattern(std::size_t size) {
  Bytes out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 2654435761U >> 13);
  return out;
}

class Relay : Acceptor {
 public:
  explicit Relay(const RelayOptions& options) : options_(options), listener_(listen_on(options.listen)) {}

  void run() {
    const Bytes token = sha256(identity_.pin).substr(0, 16);
    say({{"type", "join"},
         {"line", format_join_line({{options_.listen}, {identity_.pin, identity_.pin}, options_.agent, token})}});
    Stream session = accept_tls(accept_one(), identity_, *this);
    if (alpn_of(session) != "nf/1") throw std::runtime_error("the first connection is no session");
    secrets_ = export_secrets(session);
    if (!greet(session, token)) return;
    probe(session);
    for (const char* leg : {"plain", "tls"}) carry(session, leg);
    send_message(session, json{{"type", "bye"}, {"code", "stopping"}, {"text", "the test is over"}}.dump());
    say({{"type", "done"}});
  }

 private:
  Bytes psk_of(const std::string& identity) override {
    return identity == psk_identity(channel_) ? channel_psk(secrets_, channel_) : Bytes();
  }

  int accept_one() const {
    pollfd ready{listener_, POLLIN, 0};
    if (poll(&ready, 1, 20'000) != 1) throw std::runtime_error("no agent came within 20 s");
    return accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  }

  bool greet(Stream& session, const Bytes& token) {
    const json hello = json::parse(read_message(session));
    say(hello);
    if (hello.at("type") != "hello") throw std::runtime_error("the agent does not begin with hello");
    if (options_.refuse) {
      send_message(session, json{{"type", "bye"}, {"code", "version"}, {"text", "this relay refuses"}}.dump());
      return false;
    }
    const json& enroll = hello.at("enroll");
    if (enroll.at("name") != options_.agent || from_base64url(enroll.at("token")) != token) {
      throw std::runtime_error("enrolled as somebody else");
    }
    const std::string pin = to_base64url(identity_.pin);
    send_message(session, json{{"type", "welcome"},
                               {"version", options_.version},
                               {"name", options_.agent},
                               {"session", hex64(kSession)},
                               {"heartbeat_ms", 1000},
                               {"pins", {pin, pin}}}
                              .dump());
    return options_.version == 1;
  }

  // The next message of a type; what comes before it is answered.
  json expect(Stream& session, const std::string& type) {
    while (true) {
      const json message = json::parse(read_message(session));
      if (message.at("type") == type) return message;
      if (message.at("type") == "ping") {
        send_message(session, json{{"type", "pong"}, {"number", message.at("number")}}.dump());
      } else if (message.at("type") == "declare") {
        json outcomes = json::array();
        for (std::size_t i = 0; i < message.at("wishes").size(); ++i) {
          outcomes.push_back({{"address", "192.0.2.1:1"}, {"error", ""}});
        }
        send_message(session,
                     json{{"type", "declared"}, {"serial", message.at("serial")}, {"outcomes", outcomes}}.dump());
      } else if (message.at("type") != "pong") {
        throw std::runtime_error("unexpected: " + message.dump());
      }
    }
  }

  void probe(Stream& session) {
    send_message(session, json{{"type", "probe"}, {"number", hex64(7)}, {"target", options_.target}}.dump());
    const json result = expect(session, "probe_result");
    if (result.at("number") != hex64(7) || result.at("reason") != 0) throw std::runtime_error(result.dump());
    say(result);
  }

  Stream accept_channel(const std::string& leg) {
    Stream stream = leg == "tls" ? accept_tls(accept_one(), identity_, *this) : Stream(accept_one());
    const Bytes head = stream.read_exactly(kPrefaceBytes);
    const Channel named = parse_preface(head);
    if (named.session != channel_.session || named.number != channel_.number) {
      throw std::runtime_error("a preface of another channel");
    }
    verify_preface(secrets_, head);
    return stream;
  }

  void carry(Stream& session, const std::string& leg) {
    channel_ = {kSession, channel_.number + 1};
    send_message(session, json{{"type", "open"},
                               {"number", hex64(channel_.number)},
                               {"mapping", hex64(kMapping)},
                               {"target", options_.target},
                               {"leg", leg}}
                              .dump());
    Stream stream = accept_channel(leg);
    stream.write_all(start(secrets_, channel_, {kMapping, channel_.number, "198.51.100.7:4711", "[2001:db8::1]:80"}));
    const Answer got = parse_answer(secrets_, channel_, stream.read_exactly(kAnswerBytes));
    if (got.reason != 0 || got.flow != channel_.number) {
      throw std::runtime_error(fmt::format("leg {}: refused with reason {}", leg, got.reason));
    }
    echo(stream, leg);
  }

  void echo(Stream& stream, const std::string& leg) {
    const Bytes sent = pattern(options_.bytes);
    Bytes back;
    std::size_t at = 0;
    while (!stream.ended()) {
      if (at < sent.size()) {
        at += stream.write_some(sent.substr(at, 65536));
        if (at == sent.size()) stream.finish();
      }
      const Bytes part = stream.read_some();
      back += part;
      pollfd ready{stream.fd(), POLLIN, 0};
      if (part.empty() && !stream.ended()) poll(&ready, 1, 10);
    }
    if (back != sent) throw std::runtime_error(fmt::format("leg {}: {} of {} bytes", leg, back.size(), sent.size()));
    say({{"type", "echoed"}, {"leg", leg}, {"bytes", back.size()}});
  }

  const RelayOptions& options_;
  const Identity identity_;
  int listener_;
  Secrets secrets_;
  Channel channel_;
};

}  // namespace

void run_relay(const RelayOptions& options) {
  Relay relay(options);
  relay.run();
}

}  // namespace wire_v1
