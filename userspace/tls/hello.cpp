// SPDX-License-Identifier: GPL-2.0-only
// ClientHello extensions of strangers: see hello.hpp. Called inside the relay's handshakes, on the engine's thread.
#include "tls/hello.hpp"

#include <openssl/tls1.h>

namespace nfr::tls {
namespace {

constexpr std::uint32_t kGroupP256 = 0x0017;
constexpr std::uint32_t kGroupX25519 = 0x001D;

std::string_view text(std::span<const unsigned char> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::span<const unsigned char> Cursor::take(std::size_t count) {
  if (failed_ || count > rest_.size()) {
    failed_ = true;
    return {};
  }
  const auto piece = rest_.first(count);
  rest_ = rest_.subspan(count);
  return piece;
}

std::uint32_t Cursor::number(std::size_t width) {
  std::uint32_t value = 0;
  for (const unsigned char byte : take(width)) value = (value << 8) | byte;
  return value;
}

std::span<const unsigned char> Cursor::vector(std::size_t width) {
  const std::uint32_t length = number(width);
  return take(length);
}

std::optional<std::size_t> count_alpn(std::span<const unsigned char> extension, std::string_view name) {
  Cursor outer(extension);
  Cursor list(outer.vector(2));
  if (outer.failed() || !outer.done() || list.done()) return std::nullopt;
  std::size_t count = 0;
  while (!list.done()) {
    const auto entry = list.vector(1);
    if (entry.empty()) return std::nullopt;
    if (text(entry) == name) ++count;
  }
  return count;
}

bool has_usable_share(std::span<const unsigned char> extension) {
  Cursor outer(extension);
  Cursor list(outer.vector(2));
  bool usable = false;
  while (!list.done()) {
    const std::uint32_t group = list.number(2);
    const auto share = list.vector(2);
    if (!share.empty() && (group == kGroupX25519 || group == kGroupP256)) usable = true;
  }
  return usable && !list.failed();
}

std::optional<std::string_view> only_psk_identity(std::span<const unsigned char> extension) {
  Cursor outer(extension);
  Cursor identities(outer.vector(2));
  const auto identity = identities.vector(2);
  identities.number(4);  // obfuscated ticket age: 0 for external keys, judged by nobody
  if (outer.failed() || identities.failed() || !identities.done() || identity.empty()) return std::nullopt;
  return text(identity);
}

bool plausible_hello_head(std::span<const unsigned char> head) {
  constexpr unsigned char kRecordHandshake = 0x16;
  constexpr unsigned char kClientHello = 1;
  Cursor in(head);
  if (head.size() >= 1 && head[0] != kRecordHandshake) return false;
  if (head.size() >= 2 && head[1] != 3) return false;
  in.number(3);
  const std::uint32_t record_bytes = in.number(2);
  // Splitting the handshake header over records would hide the length; no TLS library does.
  if (head.size() >= 5 && record_bytes < 4) return false;
  if (head.size() >= 6 && head[5] != kClientHello) return false;
  in.number(1);
  const std::uint32_t hello_bytes = in.number(3);
  return head.size() < kHelloHeadBytes || hello_bytes <= kHelloBytesMax;
}

}  // namespace nfr::tls
