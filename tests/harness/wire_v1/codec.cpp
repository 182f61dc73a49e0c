// SPDX-License-Identifier: GPL-2.0-only
// Layouts and MACs of protocol version 1. Frozen: see codec.hpp.
#include "wire_v1/codec.hpp"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <cstring>
#include <stdexcept>

namespace wire_v1 {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kMac = 16;

void expect(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

Bytes fnv1a(const Bytes& bytes) {
  std::uint32_t sum = 2166136261U;
  for (const unsigned char c : bytes) sum = (sum ^ c) * 16777619U;
  return big_endian(sum, 4);
}

// Takes bytes from the front of a text.
class Cursor {
 public:
  explicit Cursor(const Bytes& bytes) : bytes_(bytes) {}
  Bytes take(std::size_t size) {
    expect(size <= bytes_.size() - at_, "join line: cut");
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  Bytes counted() { return take(static_cast<unsigned char>(take(1)[0])); }
  bool done() const { return at_ == bytes_.size(); }

 private:
  const Bytes& bytes_;
  std::size_t at_ = 0;
};

Bytes counted(const Bytes& bytes) { return static_cast<char>(bytes.size()) + bytes; }

Bytes channel_name(const Channel& channel) {
  return big_endian(channel.session, 8) + '\1' + big_endian(channel.number, 8);
}

Bytes mac(const Bytes& key, const Bytes& input) { return hmac_sha256(key, input).substr(0, kMac); }

void expect_mac(const Bytes& key, const Bytes& input, const Bytes& message, const char* what) {
  expect(mac(key, input) == message.substr(message.size() - kMac), std::string(what) + ": wrong MAC");
}

std::string address_text(const Bytes& field) {
  const int family = field[0] == 4 ? AF_INET : AF_INET6;
  expect((field[0] == 4 || field[0] == 6) && field[1] == 0, "START: not an address");
  if (family == AF_INET) expect(field.substr(8) == Bytes(12, '\0'), "START: bytes after an IPv4 address");
  char text[INET6_ADDRSTRLEN];
  inet_ntop(family, field.data() + 4, text, sizeof text);
  const std::string port = std::to_string(number_at(field, 2, 2));
  return family == AF_INET ? std::string(text) + ":" + port : "[" + std::string(text) + "]:" + port;
}

Bytes address_field(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const bool v6 = text[0] == '[';
  const std::string host = v6 ? text.substr(1, colon - 2) : text.substr(0, colon);
  unsigned char raw[16] = {};
  expect(inet_pton(v6 ? AF_INET6 : AF_INET, host.c_str(), raw) == 1, "not an address: " + text);
  return Bytes(1, v6 ? 6 : 4) + '\0' + big_endian(std::stoul(text.substr(colon + 1)), 2) +
         Bytes(reinterpret_cast<char*>(raw), sizeof raw);
}

}  // namespace

Bytes big_endian(std::uint64_t value, int size) {
  Bytes out;
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

std::uint64_t number_at(const Bytes& bytes, std::size_t at, int size) {
  std::uint64_t value = 0;
  for (int i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(bytes.at(at + static_cast<size_t>(i)));
  return value;
}

std::string hex64(std::uint64_t value) {
  char text[17];
  snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::uint64_t from_hex64(const std::string& text) {
  expect(text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos, "not an id: " + text);
  return std::stoull(text, nullptr, 16);
}

std::string to_base64url(const Bytes& bytes) {
  std::string out;
  std::uint32_t bits = 0;
  int have = 0;
  for (const unsigned char c : bytes) {
    bits = bits << 8 | c;
    for (have += 8; have >= 6; have -= 6) out += kAlphabet[bits >> (have - 6) & 63];
  }
  if (have > 0) out += kAlphabet[bits << (6 - have) & 63];
  return out;
}

Bytes from_base64url(const std::string& text) {
  Bytes out;
  std::uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const char* found = std::strchr(kAlphabet, c);
    expect(c != '\0' && found != nullptr, "not base64url: " + text);
    bits = bits << 6 | static_cast<std::uint32_t>(found - kAlphabet);
    have += 6;
    if (have >= 8) out += static_cast<char>(bits >> (have -= 8));
  }
  return out;
}

Bytes hmac_sha256(const Bytes& key, const Bytes& data) {
  unsigned char out[SHA256_DIGEST_LENGTH];
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(data.data()),
       data.size(), out, nullptr);
  return Bytes(reinterpret_cast<char*>(out), sizeof out);
}

Bytes sha256(const Bytes& data) {
  unsigned char out[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(), out);
  return Bytes(reinterpret_cast<char*>(out), sizeof out);
}

JoinLine parse_join_line(const std::string& text) {
  expect(text.starts_with("nf1."), "join line: does not begin with nf1.");
  const Bytes all = from_base64url(text.substr(4));
  expect(all.size() > 4, "join line: cut");
  const Bytes body = all.substr(0, all.size() - 4);
  expect(fnv1a(body) == all.substr(body.size()), "join line: damaged");
  Cursor in(body);
  JoinLine line;
  const int count = in.take(1)[0];
  expect(count >= 1 && count <= 8, "join line: number of relays");
  for (int i = 0; i < count; ++i) line.relays.push_back(in.counted());
  for (Bytes& pin : line.pins) pin = in.take(32);
  line.agent = in.counted();
  line.token = in.take(16);
  expect(in.done(), "join line: too long");
  return line;
}

std::string format_join_line(const JoinLine& line) {
  Bytes body(1, static_cast<char>(line.relays.size()));
  for (const std::string& relay : line.relays) body += counted(relay);
  body += line.pins[0] + line.pins[1] + counted(line.agent) + line.token;
  return "nf1." + to_base64url(body + fnv1a(body));
}

std::string psk_identity(const Channel& channel) { return hex64(channel.session) + "-" + hex64(channel.number); }

Bytes channel_psk(const Secrets& secrets, const Channel& channel) {
  return hmac_sha256(secrets.channel_psk, "nf psk" + big_endian(channel.number, 8));
}

Bytes preface(const Secrets& secrets, const Channel& channel) {
  const Bytes head = Bytes("NFP1\1\1\0\0", 8) + big_endian(channel.session, 8) + big_endian(channel.number, 8);
  return head + mac(secrets.to_relay, "nf preface" + head);
}

Channel parse_preface(const Bytes& bytes) {
  expect(bytes.size() == kPrefaceBytes && bytes.starts_with(Bytes("NFP1\1\1\0\0", 8)), "not a preface of version 1");
  return {number_at(bytes, 8, 8), number_at(bytes, 16, 8)};
}

void verify_preface(const Secrets& secrets, const Bytes& bytes) {
  expect_mac(secrets.to_relay, "nf preface" + bytes.substr(0, kPrefaceBytes - kMac), bytes, "preface");
}

Bytes start(const Secrets& secrets, const Channel& channel, const Start& start) {
  const Bytes fields = Bytes("\1\1\0\0\0\0\0\0", 8) + big_endian(start.mapping, 8) + Bytes(4, '\0') +
                       address_field(start.visitor) + address_field(start.public_address) + big_endian(start.flow, 8);
  return fields + mac(secrets.to_agent, "nf start" + channel_name(channel) + fields);
}

Start parse_start(const Secrets& secrets, const Channel& channel, const Bytes& bytes) {
  const Bytes fields = bytes.substr(0, kStartBytes - kMac);
  expect_mac(secrets.to_agent, "nf start" + channel_name(channel) + fields, bytes, "START");
  expect(bytes.starts_with(Bytes("\1\1\0\0\0\0\0\0", 8)), "START: not of version 1, or with flags");
  expect(bytes.substr(16, 4) == Bytes(4, '\0'), "START: reserved bytes");
  return {number_at(bytes, 8, 8), number_at(bytes, 60, 8), address_text(bytes.substr(20, 20)),
          address_text(bytes.substr(40, 20))};
}

Bytes answer(const Secrets& secrets, const Channel& channel, const Answer& answer) {
  const Bytes fields = Bytes(1, answer.reason == 0 ? 2 : 3) + '\1' + big_endian(answer.reason, 2) +
                       big_endian(answer.dial_us, 4) + big_endian(answer.flow, 8);
  return fields + mac(secrets.to_relay, "nf answer" + channel_name(channel) + fields);
}

Answer parse_answer(const Secrets& secrets, const Channel& channel, const Bytes& bytes) {
  const Bytes fields = bytes.substr(0, kAnswerBytes - kMac);
  expect_mac(secrets.to_relay, "nf answer" + channel_name(channel) + fields, bytes, "answer");
  const Answer out{number_at(bytes, 8, 8), static_cast<std::uint16_t>(number_at(bytes, 2, 2)),
                   static_cast<std::uint32_t>(number_at(bytes, 4, 4))};
  expect(bytes[1] == 1 && bytes[0] == (out.reason == 0 ? 2 : 3), "answer: not of version 1");
  return out;
}

}  // namespace wire_v1
