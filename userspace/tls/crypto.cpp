// SPDX-License-Identifier: GPL-2.0-only
// Digests and MACs on OpenSSL, and the channel key derivation. Stateless; any thread.
// A failure here means that libcrypto is broken or memory is gone: asserted.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "tls/tls.hpp"

namespace nfr::tls {
namespace {

// Never null: HMAC() takes a null pointer for a missing argument even where the length is 0.
const unsigned char* raw(std::span<const std::byte> bytes) {
  static constexpr unsigned char kNothing = 0;
  return bytes.empty() ? &kNothing : reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

core::Digest OpenSslCrypto::sha256(std::span<const std::byte> data) const {
  core::Digest digest{};
  unsigned length = 0;
  const int ok = EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(digest.data()), &length,
                            EVP_sha256(), nullptr);
  NFR_ASSERT(ok == 1 && length == digest.size());
  return digest;
}

core::Digest OpenSslCrypto::hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> data) const {
  core::Digest digest{};
  unsigned length = 0;
  const unsigned char* result = HMAC(EVP_sha256(), raw(key), static_cast<int>(key.size()), raw(data), data.size(),
                                     reinterpret_cast<unsigned char*>(digest.data()), &length);
  NFR_ASSERT(result != nullptr && length == digest.size());
  return digest;
}

bool OpenSslCrypto::equal(std::span<const std::byte> a, std::span<const std::byte> b) const {
  return a.size() == b.size() && CRYPTO_memcmp(raw(a), raw(b), a.size()) == 0;
}

core::Key channel_psk(const core::Crypto& crypto, const core::SessionKeys& keys, std::uint64_t number) {
  constexpr std::string_view kLabel = "nf psk";
  std::array<std::byte, kLabel.size() + 8> message{};
  std::size_t at = 0;
  for (const std::byte byte : as_bytes(kLabel)) message[at++] = byte;
  for (int shift = 56; shift >= 0; shift -= 8) message[at++] = static_cast<std::byte>((number >> shift) & 0xFFU);
  return crypto.hmac_sha256(keys.channel_psk, message);
}

}  // namespace nfr::tls
