// SPDX-License-Identifier: GPL-2.0-only
// Internal to tls: reads what the relay needs from ClientHello extensions, before OpenSSL acts on them. Pure
// functions over a stranger's bytes; nothing is kept, nothing throws.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace nfr::tls {

/// Takes length-prefixed pieces from the front; once a piece does not fit, failed() stays true and pieces are empty.
class Cursor {
 public:
  explicit Cursor(std::span<const unsigned char> bytes) : rest_(bytes) {}
  std::uint32_t number(std::size_t width);                   ///< big-endian, 1 to 4 bytes
  std::span<const unsigned char> vector(std::size_t width);  ///< a length of `width` bytes, then so many bytes
  bool done() const { return rest_.empty() || failed_; }
  bool failed() const { return failed_; }

 private:
  std::span<const unsigned char> take(std::size_t count);
  std::span<const unsigned char> rest_;
  bool failed_ = false;
};

/// How often `name` stands in an ALPN extension (RFC 7301 3.1); nothing if the extension is malformed.
std::optional<std::size_t> count_alpn(std::span<const unsigned char> extension, std::string_view name);

/// Whether a key_share extension (RFC 8446 4.2.8) brings a share of X25519 or P-256.
bool has_usable_share(std::span<const unsigned char> extension);

/// The identity of a pre_shared_key extension (RFC 8446 4.2.11) that offers exactly one; else nothing.
std::optional<std::string_view> only_psk_identity(std::span<const unsigned char> extension);

/// Bytes of the wire that hold a record header and the handshake header of a ClientHello.
constexpr std::size_t kHelloHeadBytes = 9;
constexpr std::size_t kHelloBytesMax = 16384;

/// Whether a connection may go on that begins with these bytes (any number up to kHelloHeadBytes; fewer: so far).
/// OpenSSL allocates the length that a ClientHello claims, up to 128 KiB, for nine bytes of a stranger.
bool plausible_hello_head(std::span<const unsigned char> head);

}  // namespace nfr::tls
