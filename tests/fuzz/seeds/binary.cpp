// SPDX-License-Identifier: GPL-2.0-only
// Seeds for the binary formats, from the encoders of the product; plus one broken variant of each.
#include "base/text.hpp"
#include "fuzz/channel_key.hpp"
#include "fuzz/seeds/seeds.hpp"
#include "holder/message.hpp"
#include "proto/join_line.hpp"
#include "proto/start.hpp"

namespace nfr::fuzz {
namespace {

template <class T>
std::string raw(const T& value) {
  return std::string(as_text(std::as_bytes(std::span(&value, 1))));
}

std::string changed(std::string bytes, std::size_t at, char value) {
  bytes.at(at) = value;
  return bytes;
}

void channels(std::vector<Seed>& out) {
  proto::ChannelName open = kChannel;
  open.kind = NFR_PREFACE_OPEN;
  const std::string pool = raw(proto::encode_preface(kCrypto, kKey, kChannel));
  out.push_back({"preface", "pool", pool});
  out.push_back({"preface", "open", raw(proto::encode_preface(kCrypto, kKey, open))});
  out.push_back({"preface", "wrong_mac", changed(pool, 39, '\0')});
  out.push_back({"preface", "kind_3", changed(pool, 5, '\3')});
  out.push_back({"preface", "version_2", changed(pool, 4, '\2')});
  out.push_back({"preface", "reserved_set", changed(pool, 7, '\1')});
  out.push_back({"psk_identity", "good", proto::psk_identity(kChannel.session, kChannel.number)});
  out.push_back({"psk_identity", "upper_case", "1122334455667788-000000000000002A"});
  out.push_back({"psk_identity", "underscore", "1122334455667788_000000000000002a"});
  for (const char* visitor : {"[2001:db8::7]:40000", "198.51.100.9:1"}) {
    const proto::Start start{core::MappingId{17}, *net::Endpoint::parse(visitor),
                             *net::Endpoint::parse("203.0.113.5:8888"), core::FlowId{99}, 0};
    const std::string bytes = raw(proto::encode_start(kCrypto, kKey, kChannel, start));
    const std::string family = visitor[0] == '[' ? "v6" : "v4";
    out.push_back({"start", family, bytes});
    out.push_back({"start", family + "_family_5", changed(bytes, 20, '\5')});
    out.push_back({"start", family + "_flags", changed(bytes, 3, '\1')});
  }
  const std::string ready = raw(proto::encode_answer(kCrypto, kKey, kChannel, {core::FlowId{99}, std::nullopt, 400}));
  const auto refusal = proto::RefuseReason::not_allowed;
  out.push_back({"answer", "ready", ready});
  out.push_back({"answer", "ready_with_reason", changed(ready, 3, '\1')});
  out.push_back({"answer", "kind_4", changed(ready, 0, '\4')});
  out.push_back(
      {"answer", "refused", raw(proto::encode_answer(kCrypto, kKey, kChannel, {core::FlowId{9}, refusal, 0}))});
}

void join_lines(std::vector<Seed>& out) {
  proto::JoinLine line;
  line.addresses = {"203.0.113.5:7707", "[2001:db8::5]:7707", "relay.example.org:7707"};
  line.pins[0].fill(std::byte{0x3F});
  line.name = "client1";
  const std::string text = proto::encode_join_line(line);
  const std::string body = *base64url_decode(text.substr(4));
  const auto as_body = [](const std::string& bytes) { return "B" + bytes.substr(0, bytes.size() - 4); };
  out.push_back({"join_line", "three_addresses", text});
  out.push_back({"join_line", "pasted_with_space", " \t" + text + "\r\n"});
  out.push_back({"join_line", "cut", text.substr(0, 60)});
  out.push_back({"join_line", "version_2", "nf2" + text.substr(3)});
  out.push_back({"join_line", "body", as_body(body)});
  out.push_back({"join_line", "body_escape_in_host", as_body(changed(body, 2, '\x1b'))});
  out.push_back({"join_line", "body_nine_addresses", as_body(changed(body, 0, '\x09'))});
  out.push_back({"join_line", "body_no_address", as_body(changed(body, 0, '\0'))});
}

void holder_packets(std::vector<Seed>& out) {
  using namespace holder;
  const net::Endpoint four = *net::Endpoint::parse("203.0.113.5:8888");
  const net::Endpoint six = *net::Endpoint::parse("[2001:db8::5]:443");
  const std::string open = raw(make_open(1, four, ListenerKind::kPublic, 2));
  out.push_back({"holder_request", "open_v4", open});
  out.push_back({"holder_request", "open_v6", raw(make_open(2, six, ListenerKind::kTunnel, 64))});
  out.push_back({"holder_request", "open_admin", raw(make_open(3, {}, ListenerKind::kAdmin, 1))});
  out.push_back({"holder_request", "close", raw(make_close(4, six))});
  out.push_back({"holder_request", "retain_done", raw(make_request(RequestType::kRetainDone, 5))});
  out.push_back({"holder_request", "ready", raw(make_request(RequestType::kReady, 6))});
  out.push_back({"holder_request", "type_9", changed(open, 4, '\x09')});
  out.push_back({"holder_request", "stray_address_byte", changed(open, 39, '\1')});
  const std::string failed = raw(make_reply(8, {Code::kExists, 98, "nginx (pid 812)"}));
  out.push_back({"holder_reply", "done", raw(make_reply(7))});
  out.push_back({"holder_reply", "port_taken", failed});
  out.push_back({"holder_reply", "status_200", changed(failed, 4, '\xc8')});
  out.push_back({"holder_reply", "owner_without_end", failed.substr(0, 24) + std::string(64, 'x')});
  out.push_back({"holder_reply", "owner_with_escape", changed(failed, 24, '\x1b')});
}

void hello_extensions(std::vector<Seed>& out) {
  const auto bytes = [](std::initializer_list<int> values) { return std::string(values.begin(), values.end()); };
  const std::string identity = proto::psk_identity(kChannel.session, kChannel.number);
  const std::string offered = bytes({0, 33}) + identity + std::string(4, '\0');
  out.push_back({"client_hello", "head", bytes({0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc})});
  out.push_back({"client_hello", "head_of_128_kib", bytes({0x16, 3, 1, 2, 0, 1, 2, 0, 0})});
  out.push_back({"client_hello", "alpn_session", bytes({0, 5, 4}) + "nf/1"});
  out.push_back({"client_hello", "alpn_two", bytes({0, 13, 4}) + "nf/1" + bytes({7}) + "nf-ch/1"});
  out.push_back({"client_hello", "alpn_overlong", bytes({0, 5, 9}) + "nf/1"});
  out.push_back({"client_hello", "key_share_x25519", bytes({0, 36, 0, 0x1d, 0, 32}) + std::string(32, 'k')});
  out.push_back({"client_hello", "key_share_empty", bytes({0, 4, 0, 0x17, 0, 0})});
  out.push_back({"client_hello", "psk", bytes({0, 39}) + offered + bytes({0, 33, 32}) + std::string(32, 'b')});
  out.push_back({"client_hello", "psk_two", bytes({0, 78}) + offered + offered});
}

void frames(std::vector<Seed>& out) {
  const auto frame = [](const std::string& payload) {
    const auto high = static_cast<char>(payload.size() >> 8), low = static_cast<char>(payload.size() & 0xFF);
    return std::string(2, '\0') + high + low + payload;
  };
  out.push_back({"message_stream", "one", frame(R"({"type":"ping","number":1})")});
  out.push_back({"message_stream", "three", frame("a") + frame(std::string(300, 'b')) + frame("{}")});
  out.push_back({"message_stream", "three_then_broken", "!" + frame("a") + frame("bb") + frame("{}")});
  out.push_back({"message_stream", "cut", frame("abc") + frame(std::string(200, 'c')).substr(0, 90)});
  out.push_back({"message_stream", "too_long", frame(std::string(301, 'd'))});
  out.push_back({"message_stream", "zero", frame("e") + std::string(4, '\0') + frame("f")});
  out.push_back({"message_stream", "four_gib", std::string(4, '\xff') + "x"});
}

}  // namespace

std::vector<Seed> binary_seeds() {
  std::vector<Seed> out;
  channels(out);
  join_lines(out);
  holder_packets(out);
  hello_extensions(out);
  frames(out);
  return out;
}

}  // namespace nfr::fuzz
