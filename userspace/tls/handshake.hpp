// SPDX-License-Identifier: GPL-2.0-only
// Internal to tls: what the OpenSSL callbacks learn about one handshake, and the callbacks themselves. The engine
// owns the Handshake and hangs it on its SSL; callbacks run inside SSL_do_handshake, on the engine's thread.
#pragma once

#include <openssl/ssl.h>

#include <optional>
#include <string>

#include "tls/parts.hpp"

namespace nfr::tls {

enum class Protocol { kNone, kSession, kChannel };

/// "nf/1", "nf-ch/1", or empty for kNone.
std::string_view alpn_name(Protocol protocol);

/// "SESSION-NUMBER" in hex is 33 bytes at most; nothing longer is looked up.
constexpr std::size_t kPskIdentityBytesMax = 64;

struct Handshake {
  explicit Handshake(const Context::Parts& owner) : context(owner) {}
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;
  ~Handshake();  // wipes the PSK

  const Context::Parts& context;
  Protocol protocol = Protocol::kNone;  // what the ALPN says; decided by the ClientHello on the relay
  std::optional<core::Pin> peer_pin;    // of the certificate shown; proven only once the handshake is done
  std::string psk_identity;             // relay: of the PSK that was looked up
  core::Key psk{};                      // relay: that PSK
  std::optional<Error> cause;           // why a callback refused; better than what OpenSSL can say
};

Handshake& handshake_of(const SSL* ssl);

// Relay: the ClientHello decides between session (certificate) and channel (PSK), before OpenSSL looks at either.
int on_client_hello(SSL* ssl, int* alert, void*);
int on_select_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_length, const unsigned char*, unsigned,
                   void*);
int on_find_psk(SSL* ssl, const unsigned char* identity, std::size_t length, SSL_SESSION** out);
// Agent channel.
int on_use_psk(SSL* ssl, const EVP_MD* hash, const unsigned char** identity, std::size_t* length, SSL_SESSION** out);
// All roles: structure and dates of a certificate mean nothing here, its key is everything.
int on_verify(X509_STORE_CTX* store, void*);

/// Drains OpenSSL's error queue into one Error for people.
Error take_ssl_error(std::string_view doing);
/// ok only if the finished handshake authenticated the peer in the one way its protocol allows.
Status check_finished(const SSL* ssl, const Handshake& handshake);

}  // namespace nfr::tls
