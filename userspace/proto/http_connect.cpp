// SPDX-License-Identifier: GPL-2.0-only
#include "proto/http_connect.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace nfr::proto {
namespace {

constexpr std::size_t kStatusLineMin = 12;  // "HTTP/1.1 200"

// RFC 4648 section 4, padded, as Basic authentication wants it.
std::string base64(std::string_view raw) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < raw.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < raw.size() ? static_cast<unsigned char>(raw[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k <= raw.size() ? kAlphabet[group >> (18 - 6 * k) & 0x3FU] : '=';
    }
  }
  return out;
}

bool digit(char c) { return c >= '0' && c <= '9'; }

Error broken(std::string_view why) { return {Code::kProtocol, fmt::format("the proxy's answer {}", why)}; }

// What is there so far, held against "HTTP/1.x nnn": a wrong protocol is told at its first byte, not at the deadline.
bool may_begin_status_line(std::string_view text) {
  constexpr std::string_view kShape = "HTTP/1.d ddd";
  for (std::size_t i = 0; i < std::min(text.size(), kShape.size()); ++i) {
    if (kShape[i] == 'd' ? !digit(text[i]) : text[i] != kShape[i]) return false;
  }
  return text.size() <= kStatusLineMin || text[kStatusLineMin] == ' ' || text[kStatusLineMin] == '\r' ||
         text[kStatusLineMin] == '\n';
}

// The end of the head: an empty line; single LFs are taken as line ends too (RFC 9112 2.2). npos: not there yet.
std::size_t end_of_head(std::string_view text) {
  for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    if (rest.starts_with("\n")) return at + 2;
    if (rest.starts_with("\r\n")) return at + 3;
  }
  return std::string_view::npos;
}

}  // namespace

std::string encode_connect(std::string_view authority, std::string_view user, std::string_view password,
                           std::string_view software) {
  std::string out =
      fmt::format("CONNECT {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\n", authority, authority, software);
  if (!user.empty())
    out += fmt::format("Proxy-Authorization: Basic {}\r\n", base64(fmt::format("{}:{}", user, password)));
  return out + "\r\n";
}

Result<std::optional<ConnectAnswer>> parse_connect_answer(std::string_view received) {
  if (!may_begin_status_line(received)) {
    return broken(fmt::format("is not HTTP: '{}'", escape(received.substr(0, 40), 60)));
  }
  const std::size_t end = end_of_head(received.substr(0, kConnectHeadMax));
  if (end == std::string_view::npos) {
    if (received.size() >= kConnectHeadMax)
      return broken(fmt::format("has a head of more than {} bytes", kConnectHeadMax));
    return std::optional<ConnectAnswer>{};
  }
  std::string_view line = received.substr(0, received.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() < kStatusLineMin) return broken("is not HTTP");
  ConnectAnswer answer;
  for (const char c : line.substr(9, 3)) answer.status = answer.status * 10 + static_cast<unsigned>(c - '0');
  if (answer.status < 100 || answer.status > 599) return broken(fmt::format("has the status {}", answer.status));
  answer.reason = line.size() > kStatusLineMin + 1 ? line.substr(kStatusLineMin + 1) : "";
  answer.bytes = end;
  return std::optional<ConnectAnswer>(std::move(answer));
}

}  // namespace nfr::proto
