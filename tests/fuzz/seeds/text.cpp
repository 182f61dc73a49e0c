// SPDX-License-Identifier: GPL-2.0-only
// Seeds for the text formats: session messages and admin lines from their encoders, the rest by hand.
#include <array>

#include "admin/message.hpp"
#include "fuzz/seeds/seeds.hpp"
#include "proto/message.hpp"

namespace nfr::fuzz {
namespace {

using nlohmann::json;

void session_messages(std::vector<Seed>& out) {
  const auto target = *core::Target::parse("192.168.1.123:3306");
  proto::Hello hello{{1, 1}, {0xFEDCBA9876543210}, "nfagent 0.1.0", core::Leg::kTls, {}};
  hello.enroll = proto::Hello::Enroll{"client1", std::string("\0\xFFtoken", 7)};
  std::array<core::Pin, 2> pins{};
  pins[1].fill(std::byte{9});
  const std::vector<std::pair<const char*, proto::Message>> messages = {
      {"hello", hello},
      {"welcome", proto::Welcome{1, "client1", {42}, 5000, pins}},
      {"bye", proto::Bye{proto::ByeCode::kBadToken, "used"}},
      {"ping", proto::Ping{UINT64_MAX}},
      {"pong", proto::Pong{7}},
      {"notice", proto::Notice{"two machines"}},
      {"pins", proto::Pins{pins}},
      {"open", proto::Open{1, {3}, target, core::Leg::kTls}},
      {"open_failed", proto::OpenFailed{5, 4}},
      {"probe", proto::Probe{6, target}},
      {"probe_result", proto::ProbeResult{6, 0, 400}},
  };
  for (const auto& [name, message] : messages) out.push_back({"session_message", name, proto::encode(message)});
  out.push_back({"session_message", "critical_field", R"({"type":"ping","number":1,"must!":1})"});
  out.push_back({"session_message", "escape_in_type", R"({"type":"\u001b[2Jx"})"});
  out.push_back({"session_message", "unpaired_surrogate", R"({"type":"notice","text":"\ud800"})"});
  out.push_back({"session_message", "number_too_big", R"({"type":"ping","number":18446744073709551616})"});
  out.push_back({"session_message", "deep",
                 R"({"type":"ping","number":1,"x":)" + std::string(500, '[') + std::string(500, ']') + "}"});
}

void admin_lines(std::vector<Seed>& out) {
  const json map = {{"public", "8888"}, {"agent", "client1"}, {"target", "3306"}, {"idle_timeout_ms", 60000}};
  const std::string request = admin::encode_request({7, "map", map});
  out.push_back({"admin_request", "map", request});
  out.push_back(
      {"admin_request", "three", request + admin::encode_request({8, "maps", json::object()}) + "\n" + request});
  out.push_back({"admin_request", "two_and_a_half", request + request + request.substr(0, 20)});
  out.push_back({"admin_request", "version_2", "{\"v\":2,\"id\":7,\"cmd\":\"maps\"}\n"});
  out.push_back({"admin_request", "no_id", "{\"v\":1,\"cmd\":\"maps\"}\n"});
  out.push_back(
      {"admin_request", "deep", "{\"v\":1,\"id\":1,\"cmd\":\"maps\",\"args\":" + std::string(20, '[') + "\n"});
  out.push_back({"admin_request", "escapes", "\x1b[2J\xc2\x9b\xff\n"});
  const auto without_newline = [](std::string line) { return line.substr(0, line.size() - 1); };
  const json agents = {{"agents", json::array({{{"name", "client1"}, {"state", "away"}, {"since", nullptr}}})}};
  out.push_back({"admin_answer", "result", without_newline(admin::encode_answer(7, agents))});
  out.push_back(
      {"admin_answer", "error", without_newline(admin::encode_answer(7, Error(Code::kExists, "port 8888 is taken")))});
  out.push_back({"admin_answer", "code_of_the_future",
                 R"({"v":1,"id":1,"ok":false,"error":{"code":"moon","message":"\u001b[31m"}})"});
  out.push_back({"admin_answer", "neither", R"({"v":1,"id":1,"ok":true})"});
}

void configs(std::vector<Seed>& out) {
  out.push_back({"relay_toml", "empty", ""});
  out.push_back({"relay_toml", "every_key",
                 "listen = [7707, \"[2001:db8::5]:7708\"]\npublic = [\"203.0.113.5\", \"relay.example.org\"]\n"
                 "user = \"netferry\"\nworkers = 2\nheartbeat_ms = 5000\nhandshake_timeout_ms = 5000\n"
                 "open_timeout_ms = 10000\nagent_grace_ms = 3000\nstate_dir = \"/var/lib/x\"\n"
                 "[limits]\nhandshake_count_max = 256\nflow_count_max = 1000\n"});
  out.push_back({"relay_toml", "misspelt", "lisen = 7707\n"});
  out.push_back({"relay_toml", "twice_the_port", "listen = [7707, \"203.0.113.5:7707\"]\n"});
  out.push_back({"relay_toml", "wrong_types", "listen = true\npublic = 5\nuser = \"root\"\nlimits = 1\n"});
  out.push_back({"relay_toml", "escape_in_key", "\"a\\u001b[31m\" = 1\n"});
  out.push_back({"relay_toml", "not_toml", "listen = [\n"});
  out.push_back({"agent_toml", "every_key",
                 "allow_targets = [\"self\", \"192.168.1.0/24:80\", \"[fd00::1]:1-9\"]\nleg_min = \"tls\"\n"
                 "reconnect_min_ms = 200\nreconnect_max_ms = 15000\n"});
  out.push_back({"agent_toml", "nothing_allowed", "allow_targets = []\n"});
  out.push_back({"agent_toml", "bad_rule", "allow_targets = [\"lan\", \"10.0.0.1/8\"]\n"});
  out.push_back({"agent_toml", "zero_byte_in_rule", "allow_targets = [\"10.0.0.1\\u0000x\"]\n"});
  out.push_back({"agent_toml", "min_above_max", "reconnect_min_ms = 20000\n"});
  out.push_back({"agent_toml", "mappings",
                 "proxy = \"http://user:p%40ss@proxy.corp:3128\"\n[[mapping]]\npublic = 8888\ntarget = 3306\n"
                 "[[mapping]]\npublic = \"auto\"\ntarget = \"unix:/run/a\"\nleg = \"tls\"\nproxy = \"v2\"\n"});
  out.push_back({"agent_toml", "bad_mapping", "[[mapping]]\npublic = \"5000-5001\"\ntarget = \"22\"\n"});
  out.push_back({"agent_toml", "bad_proxy", "proxy = \"https://u:secret@p\"\n"});
}

void connect_answers(std::vector<Seed>& out) {
  out.push_back({"connect_answer", "ok", "HTTP/1.1 200 Connection established\r\nVia: 1.1 p\r\n\r\n"});
  out.push_back({"connect_answer", "refused",
                 "HTTP/1.0 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
                 "Content-Length: 2\r\n\r\nhi"});
  out.push_back({"connect_answer", "bare", "HTTP/1.1 200\n\n"});
  out.push_back({"connect_answer", "escape_in_reason", "HTTP/1.1 502 \x1b[2Jboo\r\n\r\n"});
  out.push_back({"connect_answer", "other_protocol", "SSH-2.0-OpenSSH\r\n"});
  out.push_back({"connect_answer", "cut", "HTTP/1.1 200 OK\r\nX: "});
  out.push_back({"connect_answer", "status_99", "HTTP/1.1 099 OK\r\n\r\n"});
}

void addresses(std::vector<Seed>& out) {
  const std::vector<std::pair<const char*, const char*>> texts = {{"v4", "203.0.113.5"},
                                                                  {"v6", "2001:db8::1"},
                                                                  {"mapped", "::ffff:10.0.0.1"},
                                                                  {"endpoint_v4", "10.0.0.1:80"},
                                                                  {"endpoint_v6", "[fe80::1]:443"},
                                                                  {"no_brackets", "fe80::1:443"},
                                                                  {"network_v4", "10.0.0.0/8"},
                                                                  {"network_v6", "fd00::/8"},
                                                                  {"host_bits", "10.0.0.1/8"},
                                                                  {"port", "65535"},
                                                                  {"port_too_big", "65536"},
                                                                  {"leading_zeros", "0080"},
                                                                  {"localhost", "localhost:22"},
                                                                  {"public", "8888/tcp"},
                                                                  {"zone", "fe80::1%eth0"},
                                                                  {"mapped_network", "::ffff:10.0.0.0/104"}};
  for (const auto& [name, text] : texts) out.push_back({"address", name, text});
  out.push_back({"address", "zero_byte", std::string("10.0.0.1\0x:80", 13)});
}

void rules(std::vector<Seed>& out) {
  out.push_back({"allow_rule", "defaults", "self\nlan"});
  out.push_back({"allow_rule", "ports", "192.168.1.0/24:80\n10.0.0.1:1000-2000\n[fd00::/8]:443\nself:22"});
  out.push_back({"allow_rule", "everything", "0.0.0.0/0\n::/0"});
  out.push_back({"allow_rule", "metadata", "169.254.169.254:80"});
  out.push_back({"allow_rule", "empty_range", "self:9-1"});
  out.push_back({"allow_rule", "mapped", "[::ffff:169.254.0.0/112]:80"});
  out.push_back({"allow_rule", "odd_brackets", "[fd00::1\n[]:1\n[::]x:1"});
}

void texts(std::vector<Seed>& out) {
  out.push_back({"text", "name", "client-1.home"});
  out.push_back({"text", "controls", std::string("a\x1b[2J\r\n\x7f\0b\xc2\x9b", 12)});
  out.push_back({"text", "bidi",
                 "abc\xe2\x80\xae"
                 "cba\xe2\x81\xa6x\xe2\x81\xa9\xd8\x9c"});
  out.push_back({"text", "invisible", "\xef\xbb\xbf\xe2\x80\x8b\xe2\x81\xa0\xf3\xa0\x81\x81"});
  out.push_back({"text", "scripts", "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 \xe2\x80\x94"});
  out.push_back({"text", "not_utf8", "\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xff\xe2\x80"});
  out.push_back({"text", "base64url", "AP8tX3o"});
  out.push_back({"text", "base64url_leftover_bits", "AB"});
  out.push_back({"text", "hex", "00ff7f"});
}

}  // namespace

std::vector<Seed> text_seeds() {
  std::vector<Seed> out;
  session_messages(out);
  admin_lines(out);
  configs(out);
  connect_answers(out);
  addresses(out);
  rules(out);
  texts(out);
  return out;
}

}  // namespace nfr::fuzz
