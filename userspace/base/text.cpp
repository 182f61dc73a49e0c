// SPDX-License-Identifier: GPL-2.0-only
#include "base/text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>

namespace nfr {
namespace {

// Three-byte sequences that reorder or hide what stands around them: a table row with one could lie.
bool hidden_format(unsigned first, unsigned second, unsigned third) {
  if (first == 0xEF) return second == 0xBB && third == 0xBF;  // U+FEFF, zero width
  if (first != 0xE2) return false;
  // U+200B..200F zero width and bidi marks; U+2028..202E line separators and bidi overrides.
  if (second == 0x80) return (third >= 0x8B && third <= 0x8F) || (third >= 0xA8 && third <= 0xAE);
  // U+2060..206F: invisible operators and bidi isolates.
  return second == 0x81 && third >= 0xA0 && third <= 0xAF;
}

// Length of the valid, printable UTF-8 sequence at the start of `text`, or 0 (RFC 3629 table 3-7).
std::size_t utf8_length(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto tail = [&](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
  const unsigned lead = at(0);
  if (lead >= 0x20 && lead < 0x7F) return lead == '\\' ? 0 : 1;
  // C2 80..9F are C1 controls, which terminals obey.
  if (lead == 0xC2) return tail(1) && at(1) >= 0xA0 ? 2 : 0;
  // D8 9C: the Arabic letter mark, a bidi control.
  if (lead >= 0xC3 && lead <= 0xDF) return tail(1) && !(lead == 0xD8 && at(1) == 0x9C) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool overlong = lead == 0xE0 && at(1) < 0xA0;
    const bool surrogate = lead == 0xED && at(1) > 0x9F;
    return tail(1) && tail(2) && !overlong && !surrogate && !hidden_format(at(0), at(1), at(2)) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool overlong = lead == 0xF0 && at(1) < 0x90;
    const bool beyond = lead == 0xF4 && at(1) > 0x8F;
    // F3 A0 80..81: tag characters, which are never seen.
    const bool tag = lead == 0xF3 && at(1) == 0xA0 && (at(2) == 0x80 || at(2) == 0x81);
    return tail(1) && tail(2) && tail(3) && !overlong && !beyond && !tag ? 4 : 0;
  }
  return 0;
}

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

std::string escape(std::string_view untrusted, std::size_t max_bytes) {
  std::string out;
  while (!untrusted.empty()) {
    const std::size_t length = utf8_length(untrusted);
    const std::string piece = length > 0 ? std::string(untrusted.substr(0, length))
                                         : fmt::format("\\x{:02x}", static_cast<unsigned char>(untrusted[0]));
    if (out.size() + piece.size() > max_bytes) return out + "...";
    out += piece;
    untrusted.remove_prefix(length > 0 ? length : 1);
  }
  return out;
}

std::string base64url(std::span<const std::byte> bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  unsigned accumulator = 0;
  int bits = 0;
  for (const std::byte byte : bytes) {
    accumulator = (accumulator << 8) | std::to_integer<unsigned>(byte);
    for (bits += 8; bits >= 6; bits -= 6) out += kAlphabet[(accumulator >> (bits - 6)) & 63U];
  }
  if (bits > 0) out += kAlphabet[(accumulator << (6 - bits)) & 63U];
  return out;
}

Result<std::string> base64url_decode(std::string_view text) {
  std::string out;
  unsigned accumulator = 0;
  int bits = 0;
  for (const char c : text) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) {
      return Error(Code::kInvalid, fmt::format("'{}' is not a base64url character", escape({&c, 1})));
    }
    accumulator = (accumulator << 6) | static_cast<unsigned>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>((accumulator >> bits) & 0xFFU);
  }
  // A lone sextet, or leftover bits that are not zero, would give two spellings of one value.
  if (bits >= 6 || (accumulator & ((1U << bits) - 1U)) != 0) return Error(Code::kInvalid, "truncated base64url text");
  return out;
}

std::string hex(std::span<const std::byte> bytes) {
  std::string out;
  for (const std::byte byte : bytes) out += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return out;
}

Result<std::string> hex_decode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (text.size() % 2 != 0) return Error(Code::kInvalid, "odd number of hex digits");
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::size_t high = kDigits.find(text[i]);
    const std::size_t low = kDigits.find(text[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) {
      return Error(Code::kInvalid, fmt::format("'{}' is not a hex byte", escape(text.substr(i, 2))));
    }
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

std::string fingerprint(std::span<const std::byte> digest) {
  NFR_ASSERT(digest.size() >= 4);
  const std::string digits = hex(digest.first(4));
  return digits.substr(0, 4) + " " + digits.substr(4);
}

std::string human_duration(Micros duration) {
  const double us = static_cast<double>(duration.count());
  // The bounds are where rounding would carry into the next unit: never "10.0 ms", never "1000 ms".
  if (us > 0 && us < 99.5) return fmt::format("{:.0f} us", us);
  if (us < 9'950) return fmt::format("{:.1f} ms", us / 1e3);
  if (us < 999'500) return fmt::format("{:.0f} ms", us / 1e3);
  if (us < 120e6) return fmt::format("{:.0f} s", us / 1e6);
  if (us < 7200e6) return fmt::format("{:.0f} min", us / 60e6);
  if (us < 48 * 3600e6) return fmt::format("{:.0f} h", us / 3600e6);
  return fmt::format("{:.0f} d", us / 86400e6);
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  constexpr std::array<const char*, 6> kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  std::size_t unit = 0;
  for (value /= 1000; value >= 999.5 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  return fmt::format("{:.{}f} {}", value, value < 9.95 ? 1 : 0, kUnits[unit]);
}

std::string utc_time(WallTime time) {
  return fmt::format("{:%a %d %b %H:%M} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

}  // namespace nfr
