// SPDX-License-Identifier: GPL-2.0-only
#include "proto/join_line.hpp"

#include <fmt/format.h>

#include <cstdint>

#include "base/text.hpp"

namespace nfr::proto {
namespace {

constexpr std::string_view kPrefix = "nf1.";
constexpr std::size_t kLineMax = 2048;
constexpr std::size_t kChecksumBytes = 4;

// FNV-1a: tells a damaged paste from an intact one; authenticity comes from the pins and the token.
std::uint32_t checksum(std::string_view bytes) {
  std::uint32_t sum = 2166136261U;
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 16777619U;
  return sum;
}

void put_text(std::string& out, std::string_view text) {
  NFR_ASSERT(text.size() <= 255);
  out += static_cast<char>(text.size());
  out += text;
}

template <class Bytes>
void put_bytes(std::string& out, const Bytes& bytes) {
  out += as_text(std::span<const std::byte>(bytes));
}

std::string checksum_text(std::string_view bytes) {
  const std::uint32_t sum = checksum(bytes);
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((sum >> shift) & 0xFFU);
  return out;
}

// Takes pieces off the front; once something was missing everything is.
class Cursor {
 public:
  explicit Cursor(std::string_view rest) : rest_(rest) {}
  bool good() const { return good_; }
  bool at_end() const { return good_ && rest_.empty(); }
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) good_ = false;
    if (!good_) return {};
    const std::string_view piece = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return piece;
  }
  std::size_t take_count() {
    const std::string_view piece = take(1);
    return piece.empty() ? 0 : static_cast<unsigned char>(piece[0]);
  }
  std::string take_text() { return std::string(take(take_count())); }
  template <std::size_t size>
  void take_into(std::array<std::byte, size>& out) {
    const std::string_view piece = take(size);
    for (std::size_t i = 0; i < piece.size(); ++i) out[i] = static_cast<std::byte>(piece[i]);
  }

 private:
  std::string_view rest_;
  bool good_ = true;
};

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

Error damaged(std::string_view what) {
  return {Code::kInvalid, fmt::format("join line: {}; copy the whole line that `nfctl agent add` printed", what)};
}

// HOST:PORT with HOST an address ([v6] in brackets) or made of what names are made of; it is printed as it stands.
bool is_relay_address(std::string_view text) {
  if (net::Endpoint::parse(text)) return true;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || !net::parse_port(text.substr(colon + 1))) return false;
  constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  return text.substr(0, colon).find_first_not_of(kNameCharacters) == std::string_view::npos;
}

Result<JoinLine> parse_body(std::string_view body) {
  JoinLine line;
  Cursor cursor(body);
  const std::size_t count = cursor.take_count();
  if (count == 0 || count > kJoinAddressesMax) return damaged("it names no relay address");
  for (std::size_t i = 0; i < count; ++i) line.addresses.push_back(cursor.take_text());
  for (auto& pin : line.pins) cursor.take_into(pin);
  line.name = cursor.take_text();
  cursor.take_into(line.token);
  if (!cursor.at_end()) return damaged("it is damaged");
  const auto name = core::parse_agent_name(line.name);
  if (!name) return name.error().context("join line");
  for (const std::string& address : line.addresses) {
    if (!is_relay_address(address)) {
      return damaged(fmt::format("relay address '{}' is not HOST:PORT", escape(address)));
    }
  }
  return line;
}

}  // namespace

std::string encode_join_line(const JoinLine& line) {
  NFR_ASSERT(!line.addresses.empty() && line.addresses.size() <= kJoinAddressesMax);
  std::string body;
  body += static_cast<char>(line.addresses.size());
  for (const std::string& address : line.addresses) put_text(body, address);
  for (const auto& pin : line.pins) put_bytes(body, pin);
  put_text(body, line.name);
  put_bytes(body, line.token);
  body += checksum_text(body);
  return std::string(kPrefix) + base64url(as_bytes(body));
}

Result<JoinLine> decode_join_line(std::string_view text) {
  text = trim(text);
  if (text.empty()) return damaged("it is empty");
  if (text.size() > kLineMax) return damaged(fmt::format("{} characters are too many", text.size()));
  if (!text.starts_with("nf")) return damaged(fmt::format("'{}' does not begin with nf1.", escape(text, 24)));
  if (!text.starts_with(kPrefix)) {
    return damaged(
        fmt::format("version '{}' is not known to this agent, which reads nf1", escape(text.substr(0, 8), 24)));
  }
  auto raw = base64url_decode(text.substr(kPrefix.size()));
  if (!raw) return damaged(raw.error().message());
  if (raw->size() <= kChecksumBytes) return damaged("it is cut short");
  const std::string_view body = std::string_view(*raw).substr(0, raw->size() - kChecksumBytes);
  if (checksum_text(body) != std::string_view(*raw).substr(body.size())) return damaged("it is cut or damaged");
  return parse_body(body);
}

}  // namespace nfr::proto
