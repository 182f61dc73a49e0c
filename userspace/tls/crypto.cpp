// SPDX-License-Identifier: GPL-2.0-only
// Digests and MACs on OpenSSL, and the channel key derivation. Stateless; any thread.
// A failure here means that libcrypto is broken or memory is gone: asserted.
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "tls/tls.hpp"

namespace nfr::tls {
namespace {

// Never null: EVP_MAC_init() takes a null pointer for a missing argument even where the length is 0.
const unsigned char* raw(std::span<const std::byte> bytes) {
  static constexpr unsigned char kNothing = 0;
  return bytes.empty() ? &kNothing : reinterpret_cast<const unsigned char*>(bytes.data());
}

/// HMAC() looks the algorithm up at each call, under locks, which costs several times what the MAC itself does.
class Hmac {
 public:
  Hmac() {
    EVP_MAC* const mac = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr);
    context_ = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);  // the context holds it
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                     OSSL_PARAM_construct_end()};
    NFR_ASSERT(context_ != nullptr && EVP_MAC_CTX_set_params(context_, parameters) == 1);
  }
  ~Hmac() { EVP_MAC_CTX_free(context_); }
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;

  core::Digest of(std::span<const std::byte> key, std::span<const std::byte> data) {
    core::Digest digest{};
    std::size_t length = 0;
    const bool ok =
        EVP_MAC_init(context_, raw(key), key.size(), nullptr) == 1 &&
        EVP_MAC_update(context_, raw(data), data.size()) == 1 &&
        EVP_MAC_final(context_, reinterpret_cast<unsigned char*>(digest.data()), &length, digest.size()) == 1;
    NFR_ASSERT(ok && length == digest.size());
    return digest;
  }

 private:
  EVP_MAC_CTX* context_;
};

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
  static thread_local Hmac hmac;
  return hmac.of(key, data);
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
