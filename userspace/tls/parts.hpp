// SPDX-License-Identifier: GPL-2.0-only
// Internal to tls: OpenSSL ownership, and what stands behind Identity and Context. Included by this room's sources
// and its tests, never by another room.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <optional>
#include <string>

#include "tls/tls.hpp"

namespace nfr::tls {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using PkeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Freed<X509_free>>;
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free>>;
using SslCtxPtr = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Freed<SSL_free>>;
using SslSessionPtr = std::unique_ptr<SSL_SESSION, Freed<SSL_SESSION_free>>;

struct Identity::Parts {
  PkeyPtr key;
  CertificatePtr certificate;
  core::Pin pin{};
};

/// SHA-256 of the canonical DER SubjectPublicKeyInfo, so that one key has one pin. Nothing if the key is not Ed25519.
std::optional<core::Pin> ed25519_pin(EVP_PKEY* key);

enum class Role { kRelay, kAgentSession, kAgentChannel };

struct Context::Parts {
  Parts() = default;
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts();  // wipes the PSK

  Role role = Role::kRelay;
  std::shared_ptr<const Identity> identity;  // relay and agent session
  std::array<core::Pin, 2> pins{};           // agent session
  PskLookup lookup;                          // relay
  std::string psk_identity;                  // agent channel
  core::Key psk{};                           // agent channel
  SslCtxPtr ctx;
};

}  // namespace nfr::tls
