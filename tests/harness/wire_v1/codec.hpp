// SPDX-License-Identifier: GPL-2.0-only
// Version 1 of the protocol between agent and relay, written once more from docs/wire-protocol.md as it was then, and
// frozen: it shares nothing with the programs and is never edited. Bytes are strings; integers are big-endian.
// Errors are exceptions: this is a test's peer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wire_v1 {

using Bytes = std::string;

Bytes big_endian(std::uint64_t value, int size);
std::uint64_t number_at(const Bytes& bytes, std::size_t at, int size);
std::string hex64(std::uint64_t value);  ///< 16 lower-case digits
std::uint64_t from_hex64(const std::string& text);
Bytes from_base64url(const std::string& text);
std::string to_base64url(const Bytes& bytes);
Bytes hmac_sha256(const Bytes& key, const Bytes& data);
Bytes sha256(const Bytes& data);

struct JoinLine {
  std::vector<std::string> relays;  ///< HOST:PORT
  Bytes pins[2];
  std::string agent;
  Bytes token;
};
JoinLine parse_join_line(const std::string& text);
std::string format_join_line(const JoinLine& line);

/// The three exported secrets of a session.
struct Secrets {
  Bytes to_agent, to_relay, channel_psk;
};

/// One channel's name; kind is OPEN.
struct Channel {
  std::uint64_t session = 0;
  std::uint64_t number = 0;
};
std::string psk_identity(const Channel& channel);
Bytes channel_psk(const Secrets& secrets, const Channel& channel);

constexpr std::size_t kPrefaceBytes = 40, kStartBytes = 84, kAnswerBytes = 32;
Bytes preface(const Secrets& secrets, const Channel& channel);
Channel parse_preface(const Bytes& bytes);  ///< without the MAC
void verify_preface(const Secrets& secrets, const Bytes& bytes);

struct Start {
  std::uint64_t mapping = 0, flow = 0;
  std::string visitor, public_address;  ///< "1.2.3.4:80", "[::1]:80"; 0.0.0.0:0 where nobody cares
};
Bytes start(const Secrets& secrets, const Channel& channel, const Start& start);
Start parse_start(const Secrets& secrets, const Channel& channel, const Bytes& bytes);

struct Answer {
  std::uint64_t flow = 0;
  std::uint16_t reason = 0;  ///< 0: READY
  std::uint32_t dial_us = 0;
};
Bytes answer(const Secrets& secrets, const Channel& channel, const Answer& answer);
Answer parse_answer(const Secrets& secrets, const Channel& channel, const Bytes& bytes);

}  // namespace wire_v1
