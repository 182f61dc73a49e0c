// SPDX-License-Identifier: GPL-2.0-only
#include "proto/message.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "nfr/wire/wire.h"

namespace nfr::proto {
namespace {

using nlohmann::json;

constexpr std::size_t kTextMax = 512;

struct ByeName {
  ByeCode code;
  std::string_view name;
};
constexpr std::array kByeNames = {
    ByeName{ByeCode::kVersion, "version"},       ByeName{ByeCode::kUnknownKey, "unknown_key"},
    ByeName{ByeCode::kBadToken, "bad_token"},    ByeName{ByeCode::kRevoked, "revoked"},
    ByeName{ByeCode::kSuperseded, "superseded"}, ByeName{ByeCode::kDuplicate, "duplicate"},
    ByeName{ByeCode::kProtocol, "protocol"},     ByeName{ByeCode::kBusy, "busy"},
    ByeName{ByeCode::kStopping, "stopping"},
};

// Fields that a peer must not skip. They stand only in messages that need them.
constexpr std::string_view kProxy = "proxy!";

// Reads fields of one message; the first fault is kept and everything after it yields defaults.
class Reader {
 public:
  explicit Reader(const json& object) : object_(object) {}
  const std::optional<Error>& fault() const { return fault_; }

  std::uint64_t number(const char* name, std::uint64_t max = UINT64_MAX) {
    const json* field = find(name);
    if (field == nullptr) return 0;
    if (!field->is_number_unsigned() || field->get<std::uint64_t>() > max)
      return fail(name, "not a number in range"), 0;
    return field->get<std::uint64_t>();
  }
  std::string text(const char* name, std::size_t max = kTextMax) {
    const json* field = find(name);
    if (field == nullptr) return {};
    if (!field->is_string() || field->get_ref<const std::string&>().size() > max)
      return fail(name, "not a short text"), "";
    return field->get<std::string>();
  }
  // 64-bit ids travel as 16 hex digits: JSON numbers lose precision in many readers.
  std::uint64_t id(const char* name) {
    const std::string digits = text(name, 16);
    const auto raw = hex_decode(digits);
    if (digits.size() != 16 || !raw) return fail(name, "not 16 hex digits"), 0;
    std::uint64_t value = 0;
    for (const char c : *raw) value = (value << 8) | static_cast<unsigned char>(c);
    return value;
  }
  core::Leg leg(const char* name) {
    const auto parsed = core::parse_leg(text(name, 16));
    if (!parsed) return fail(name, "not a leg"), core::Leg::kTls;
    return *parsed;
  }
  core::Target target(const char* name) {
    auto parsed = core::Target::parse(text(name, kTextMax));
    if (!parsed) return fail(name, "not a target"), core::Target{};
    return *parsed;
  }
  core::Target one_target(const char* name) {
    core::Target parsed = target(name);
    if (parsed.port_count != 1) fail(name, "not one port");
    return parsed;
  }
  bool flag(const char* name) {
    if (!has(name)) return false;
    if (!object_[name].is_boolean()) return fail(name, "not true or false"), false;
    return object_[name].get<bool>();
  }
  Millis optional_millis(const char* name) {
    return has(name) ? Millis{static_cast<Millis::rep>(number(name, NFR_CHANNEL_WAIT_MS_MAX))} : Millis{0};
  }
  core::ProxyHeader proxy() {
    if (!has(kProxy.data())) return core::ProxyHeader::kNone;
    const auto parsed = core::parse_proxy_header(text(kProxy.data(), 16));
    if (!parsed) return fail(kProxy.data(), "not a PROXY version"), core::ProxyHeader::kNone;
    return *parsed;
  }
  core::PublicPorts public_ports(const char* name) {
    const auto parsed = core::PublicPorts::parse(text(name, 128));
    if (!parsed) return fail(name, "not a public endpoint"), core::PublicPorts{};
    return *parsed;
  }
  /// Reads each object of an array of at most NFR_WISHES_MAX.
  template <class Item>
  std::vector<Item> items(const char* name, Item (*read)(Reader&)) {
    std::vector<Item> out;
    const json* field = find(name);
    if (field == nullptr) return out;
    if (!field->is_array() || field->size() > NFR_WISHES_MAX) return fail(name, "not a short array"), out;
    for (const json& object : *field) {
      if (!object.is_object()) return fail(name, "not an array of objects"), out;
      Reader reader(object);
      out.push_back(read(reader));
      adopt(reader);
    }
    return out;
  }
  std::array<core::Pin, 2> pins(const char* name) {
    std::array<core::Pin, 2> out{};
    const json* field = find(name);
    if (field == nullptr) return out;
    if (!field->is_array() || field->size() != out.size()) return fail(name, "not two pins"), out;
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto raw = (*field)[i].is_string() ? base64url_decode((*field)[i].get<std::string>()) : std::string();
      if (!raw || raw->size() != out[i].size()) return fail(name, "not a pin"), out;
      std::copy_n(as_bytes(*raw).begin(), out[i].size(), out[i].begin());
    }
    return out;
  }
  bool has(const char* name) const { return object_.contains(name); }
  Reader inner(const char* name) {
    static const json kEmpty = json::object();
    const json* field = find(name);
    if (field != nullptr && !field->is_object()) fail(name, "not an object");
    return Reader(field != nullptr && field->is_object() ? *field : kEmpty);
  }
  void adopt(const Reader& other) {
    if (!fault_) fault_ = other.fault_;
  }

 private:
  const json* find(const char* name) {
    const auto found = object_.find(name);
    if (found != object_.end()) return &*found;
    fail(name, "missing");
    return nullptr;
  }
  void fail(const char* name, std::string_view why) {
    if (!fault_) fault_ = Error(Code::kProtocol, fmt::format("field '{}': {}", name, why));
  }
  const json& object_;
  std::optional<Error> fault_;
};

std::string id_text(std::uint64_t value) { return fmt::format("{:016x}", value); }

json pins_json(const std::array<core::Pin, 2>& pins) { return {base64url(pins[0]), base64url(pins[1])}; }

json to_json(const Hello& m) {
  json out = {{"type", "hello"},
              {"version", m.versions.newest},
              {"instance", id_text(m.instance.value)},
              {"software", m.software},
              {"leg_min", core::leg_name(m.leg_min)}};
  if (m.versions.oldest != m.versions.newest) out["oldest"] = m.versions.oldest;
  if (m.keeps_channels) out["keeps_channels"] = true;
  if (m.enroll) out["enroll"] = {{"name", m.enroll->name}, {"token", base64url(as_bytes(m.enroll->token))}};
  return out;
}
json to_json(const Welcome& m) {
  return {{"type", "welcome"},
          {"version", m.version},
          {"name", m.name},
          {"session", id_text(m.session.value)},
          {"heartbeat_ms", m.heartbeat_ms},
          {"pins", pins_json(m.pins)}};
}
json to_json(const Bye& m) { return {{"type", "bye"}, {"code", bye_code_name(m.code)}, {"text", m.text}}; }
json to_json(const Ping& m) { return {{"type", "ping"}, {"number", m.number}}; }
json to_json(const Pong& m) { return {{"type", "pong"}, {"number", m.number}}; }
json to_json(const Notice& m) { return {{"type", "notice"}, {"text", m.text}}; }
json to_json(const Pins& m) { return {{"type", "pins"}, {"pins", pins_json(m.pins)}}; }
void put_proxy(json& out, core::ProxyHeader proxy) {
  if (proxy != core::ProxyHeader::kNone) out[kProxy] = core::proxy_header_name(proxy);
}
json to_json(const Open& m) {
  json out = {{"type", "open"},
              {"number", id_text(m.number)},
              {"mapping", id_text(m.mapping.value)},
              {"target", m.target.text()},
              {"leg", core::leg_name(m.leg)}};
  put_proxy(out, m.proxy);
  if (m.wait.count() > 0) out["wait_ms"] = m.wait.count();
  return out;
}
json to_json(const OpenFailed& m) {
  return {{"type", "open_failed"}, {"number", id_text(m.number)}, {"reason", m.reason}};
}
json to_json(const Probe& m) {
  json out = {{"type", "probe"}, {"number", id_text(m.number)}, {"target", m.target.text()}};
  put_proxy(out, m.proxy);
  return out;
}
json to_json(const ProbeResult& m) {
  return {{"type", "probe_result"}, {"number", id_text(m.number)}, {"reason", m.reason}, {"dial_us", m.dial_us}};
}

json to_json(const Declare& m) {
  json wishes = json::array();
  for (const Wish& wish : m.wishes) {
    json one = {{"public", wish.ports.text()}, {"target", wish.target.text()}};
    if (wish.leg) one["leg"] = core::leg_name(*wish.leg);
    put_proxy(one, wish.proxy);
    wishes.push_back(std::move(one));
  }
  return {{"type", "declare"}, {"serial", m.serial}, {"wishes", std::move(wishes)}};
}
json to_json(const Declared& m) {
  json outcomes = json::array();
  for (const auto& outcome : m.outcomes) outcomes.push_back({{"address", outcome.address}, {"error", outcome.error}});
  return {{"type", "declared"}, {"serial", m.serial}, {"outcomes", std::move(outcomes)}};
}

VersionRange read_versions(Reader& in) {
  const auto newest = static_cast<std::uint32_t>(in.number("version", UINT32_MAX));
  if (!in.has("oldest")) return {newest, newest};
  return {static_cast<std::uint32_t>(in.number("oldest", newest)), newest};
}
Message read_hello(Reader& in) {
  Hello m{read_versions(in),        {in.id("instance")}, in.text("software", 64), in.leg("leg_min"), {},
          in.flag("keeps_channels")};
  if (!in.has("enroll")) return m;
  Reader enroll = in.inner("enroll");
  m.enroll = Hello::Enroll{enroll.text("name", 64), {}};
  if (const auto raw = base64url_decode(enroll.text("token", 128))) m.enroll->token = *raw;
  in.adopt(enroll);
  return m;
}
Message read_welcome(Reader& in) {
  return Welcome{static_cast<std::uint32_t>(in.number("version", UINT32_MAX)),
                 in.text("name", 64),
                 {in.id("session")},
                 static_cast<std::uint32_t>(in.number("heartbeat_ms", 3'600'000)),
                 in.pins("pins")};
}
Message read_bye(Reader& in) {
  const std::string name = in.text("code", 32);
  Bye bye{ByeCode::kProtocol, in.text("text")};
  for (const ByeName& known : kByeNames) {
    if (known.name == name) bye.code = known.code;
  }
  return bye;
}
Wish read_wish(Reader& in) {
  Wish wish{in.public_ports("public"), in.target("target"), {}, in.proxy()};
  if (in.has("leg")) wish.leg = in.leg("leg");
  return wish;
}
Declared::Outcome read_outcome(Reader& in) { return {in.text("address"), in.text("error")}; }
std::uint16_t read_reason(Reader& in) { return static_cast<std::uint16_t>(in.number("reason", UINT16_MAX)); }

using ReadMessage = Message (*)(Reader&);
struct Kind {
  std::string_view type;
  ReadMessage read;
};
const std::array<Kind, 13>& kinds() {
  static const std::array<Kind, 13> kKinds = {{
      {"hello", read_hello},
      {"welcome", read_welcome},
      {"bye", read_bye},
      {"ping", [](Reader& in) -> Message { return Ping{in.number("number")}; }},
      {"pong", [](Reader& in) -> Message { return Pong{in.number("number")}; }},
      {"notice", [](Reader& in) -> Message { return Notice{in.text("text")}; }},
      {"pins", [](Reader& in) -> Message { return Pins{in.pins("pins")}; }},
      {"open",
       [](Reader& in) -> Message {
         return Open{in.id("number"), {in.id("mapping")}, in.one_target("target"),
                     in.leg("leg"),   in.proxy(),         in.optional_millis("wait_ms")};
       }},
      {"open_failed",
       [](Reader& in) -> Message {
         return OpenFailed{in.id("number"), read_reason(in)};
       }},
      {"probe",
       [](Reader& in) -> Message {
         return Probe{in.id("number"), in.one_target("target"), in.proxy()};
       }},
      {"probe_result",
       [](Reader& in) -> Message {
         return ProbeResult{in.id("number"), read_reason(in),
                            static_cast<std::uint32_t>(in.number("dial_us", UINT32_MAX))};
       }},
      {"declare",
       [](Reader& in) -> Message {
         return Declare{in.number("serial"), in.items("wishes", read_wish)};
       }},
      {"declared",
       [](Reader& in) -> Message {
         return Declared{in.number("serial"), in.items("outcomes", read_outcome)};
       }},
  }};
  return kKinds;
}

}  // namespace

std::string_view bye_code_name(ByeCode code) {
  for (const ByeName& known : kByeNames) {
    if (known.code == code) return known.name;
  }
  return "protocol";
}

std::string encode(const Message& message) {
  // A text that is not UTF-8 must not throw: it was escaped where it came in, replacement is the last resort.
  return std::visit([](const auto& m) { return to_json(m).dump(-1, ' ', false, json::error_handler_t::replace); },
                    message);
}

Result<Message> decode(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return Error(Code::kProtocol, fmt::format("not a JSON object: {}", escape(text, 64)));
  Reader reader(object);
  const std::string type = reader.text("type", 32);
  if (reader.fault()) return *reader.fault();
  for (const auto& [name, value] : object.items()) {
    if (name.ends_with('!') && name != kProxy)
      return Error(Code::kProtocol, fmt::format("critical field '{}' is not known", escape(name, 64)));
  }
  for (const Kind& kind : kinds()) {
    if (kind.type != type) continue;
    Message message = kind.read(reader);
    if (reader.fault()) return reader.fault()->context(kind.type);
    return message;
  }
  return Error(Code::kProtocol, fmt::format("message type '{}' is not known", escape(type)));
}

}  // namespace nfr::proto
