// SPDX-License-Identifier: GPL-2.0-only
// The callbacks that OpenSSL makes during a handshake: who may come in by which door. They run on the engine's
// thread, note the cause of a refusal in the Handshake, and touch nothing else.
#include "tls/handshake.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/x509_vfy.h>

#include "base/text.hpp"
#include "nfr/wire/wire.h"
#include "tls/hello.hpp"

namespace nfr::tls {
namespace {

constexpr const char* kKeyNotUsed = "the channel's key was not used in the handshake: nobody was authenticated";

using Bytes = std::span<const unsigned char>;

std::optional<Bytes> extension(SSL* ssl, unsigned type) {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, type, &data, &size) != 1) return std::nullopt;
  return Bytes(data, size);
}

// Exactly one of our two names, or kNone: a hello that offers both doors gets neither.
Protocol offered_protocol(SSL* ssl) {
  const auto alpn = extension(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation);
  if (!alpn) return Protocol::kNone;
  const std::size_t sessions = count_alpn(*alpn, NFR_ALPN_SESSION).value_or(0);
  const std::size_t channels = count_alpn(*alpn, NFR_ALPN_CHANNEL).value_or(0);
  if (sessions + channels != 1) return Protocol::kNone;
  return sessions == 1 ? Protocol::kSession : Protocol::kChannel;
}

Status refuse(int* alert, int alert_value, Code code, std::string why) {
  *alert = alert_value;
  return Error(code, std::move(why));
}

Status admit_channel(SSL* ssl, Handshake& handshake, int* alert) {
  const auto offered = extension(ssl, TLSEXT_TYPE_psk);
  const auto identity = offered ? only_psk_identity(*offered) : std::nullopt;
  if (!identity) {
    return refuse(alert, SSL_AD_MISSING_EXTENSION, Code::kDenied, "a channel was asked for without exactly one key");
  }
  std::optional<core::Key> psk;
  if (identity->size() <= kPskIdentityBytesMax && handshake.context.lookup) psk = handshake.context.lookup(*identity);
  if (!psk) {
    return refuse(alert, SSL_AD_UNKNOWN_PSK_IDENTITY, Code::kDenied,
                  fmt::format("no session has a channel \"{}\"", escape(*identity, kPskIdentityBytesMax)));
  }
  handshake.psk_identity = *identity;
  handshake.psk = *psk;
  OPENSSL_cleanse(psk->data(), psk->size());
  // The PSK authenticates. That it was really used is checked when the handshake is done.
  SSL_set_verify(ssl, SSL_VERIFY_NONE, nullptr);
  return {};
}

Status admit(SSL* ssl, Handshake& handshake, int* alert) {
  const Protocol protocol = offered_protocol(ssl);
  if (protocol == Protocol::kNone) {
    return refuse(alert, SSL_AD_NO_APPLICATION_PROTOCOL, Code::kProtocol,
                  "the client asks for neither " NFR_ALPN_SESSION " nor " NFR_ALPN_CHANNEL
                  ": not an agent, or one of another version");
  }
  // A second round would let a stranger claim a large second hello; our agents never need one.
  const auto shares = extension(ssl, TLSEXT_TYPE_key_share);
  if (!shares || !has_usable_share(*shares)) {
    return refuse(alert, SSL_AD_HANDSHAKE_FAILURE, Code::kProtocol, "the client sent no X25519 or P-256 key share");
  }
  handshake.protocol = protocol;
  if (protocol == Protocol::kChannel) return admit_channel(ssl, handshake, alert);
  if (extension(ssl, TLSEXT_TYPE_psk)) {
    return refuse(alert, SSL_AD_ILLEGAL_PARAMETER, Code::kDenied,
                  "a session was asked for with a pre-shared key: only certificates open sessions");
  }
  SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return {};
}

SslSessionPtr psk_session(SSL* ssl, const core::Key& psk) {
  constexpr unsigned char kAes128GcmSha256[] = {0x13, 0x01};
  const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, kAes128GcmSha256);
  SslSessionPtr session(SSL_SESSION_new());
  if (session == nullptr || cipher == nullptr) return nullptr;
  const bool ok =
      SSL_SESSION_set1_master_key(session.get(), reinterpret_cast<const unsigned char*>(psk.data()), psk.size()) == 1 &&
      SSL_SESSION_set_cipher(session.get(), cipher) == 1 &&
      SSL_SESSION_set_protocol_version(session.get(), TLS1_3_VERSION) == 1;
  if (!ok) return nullptr;
  return session;
}

Status judge_relay_pin(const core::Pin& seen, const std::array<core::Pin, 2>& pins) {
  if (seen == pins[0] || seen == pins[1]) return {};
  return Error(Code::kDenied,
               fmt::format("relay key {} is not the pinned {} (or next {}): the relay was reinstalled or somebody is "
                           "in between; ask for a new join line",
                           fingerprint(seen), fingerprint(pins[0]), fingerprint(pins[1])));
}

Status judge_certificate(X509* certificate, Handshake& handshake) {
  const bool we_are_relay = handshake.context.role == Role::kRelay;
  if (handshake.context.role == Role::kAgentChannel) {
    return Error(Code::kDenied, "the relay did not take the channel's key: it is not the relay of this session");
  }
  const auto pin = certificate != nullptr ? ed25519_pin(X509_get0_pubkey(certificate)) : std::nullopt;
  if (!pin) {
    return Error(Code::kDenied, we_are_relay ? "the client's certificate holds no Ed25519 key: not an agent"
                                             : "the server's certificate holds no Ed25519 key: not a relay");
  }
  if (!we_are_relay) {
    if (Status status = judge_relay_pin(*pin, handshake.context.pins); !status) return status;
  }
  handshake.peer_pin = *pin;
  return {};
}

}  // namespace

Handshake::~Handshake() { OPENSSL_cleanse(psk.data(), psk.size()); }

std::string_view alpn_name(Protocol protocol) {
  switch (protocol) {
    case Protocol::kSession: return NFR_ALPN_SESSION;
    case Protocol::kChannel: return NFR_ALPN_CHANNEL;
    case Protocol::kNone: return {};
  }
  return {};
}

Handshake& handshake_of(const SSL* ssl) {
  auto* handshake = static_cast<Handshake*>(SSL_get_app_data(ssl));
  NFR_ASSERT(handshake != nullptr);
  return *handshake;
}

int on_client_hello(SSL* ssl, int* alert, void*) {
  Handshake& handshake = handshake_of(ssl);
  const Status status = admit(ssl, handshake, alert);
  if (status) return SSL_CLIENT_HELLO_SUCCESS;
  handshake.cause = status.error();
  return SSL_CLIENT_HELLO_ERROR;
}

int on_select_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_length, const unsigned char*, unsigned,
                   void*) {
  Handshake& handshake = handshake_of(ssl);
  const std::string_view name = alpn_name(handshake.protocol);
  if (name.empty()) return SSL_TLSEXT_ERR_ALERT_FATAL;
  // OpenSSL has chosen or skipped the PSK by now; it skips one that comes without a (EC)DHE mode.
  if (handshake.protocol == Protocol::kChannel && SSL_session_reused(ssl) != 1) {
    handshake.cause = Error(Code::kDenied, kKeyNotUsed);
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = reinterpret_cast<const unsigned char*>(name.data());
  *out_length = static_cast<unsigned char>(name.size());
  return SSL_TLSEXT_ERR_OK;
}

int on_find_psk(SSL* ssl, const unsigned char* identity, std::size_t length, SSL_SESSION** out) {
  *out = nullptr;
  const Handshake& handshake = handshake_of(ssl);
  const std::string_view asked(reinterpret_cast<const char*>(identity), length);
  if (handshake.protocol != Protocol::kChannel || asked.empty() || asked != handshake.psk_identity) return 0;
  *out = psk_session(ssl, handshake.psk).release();
  return *out != nullptr ? 1 : 0;
}

int on_use_psk(SSL* ssl, const EVP_MD* hash, const unsigned char** identity, std::size_t* length, SSL_SESSION** out) {
  const Context::Parts& context = handshake_of(ssl).context;
  *out = nullptr;
  // After a retry the server has chosen a hash; with another one this key cannot be offered.
  if (hash != nullptr && !EVP_MD_is_a(hash, "SHA256")) return 1;
  *out = psk_session(ssl, context.psk).release();
  *identity = reinterpret_cast<const unsigned char*>(context.psk_identity.data());
  *length = context.psk_identity.size();
  return *out != nullptr ? 1 : 0;
}

int on_verify(X509_STORE_CTX* store, void*) {
  const auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  Handshake& handshake = handshake_of(ssl);
  const Status status = judge_certificate(X509_STORE_CTX_get0_cert(store), handshake);
  if (status) return 1;
  handshake.cause = status.error();
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

Status check_finished(const SSL* ssl, const Handshake& handshake) {
  const Role role = handshake.context.role;
  const Protocol protocol = role == Role::kRelay          ? handshake.protocol
                            : role == Role::kAgentSession ? Protocol::kSession
                                                          : Protocol::kChannel;
  const unsigned char* data = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl, &data, &length);
  const std::string_view chosen(reinterpret_cast<const char*>(data), length);
  if (protocol == Protocol::kNone || chosen != alpn_name(protocol)) {
    return Error(Code::kProtocol, fmt::format("the server chose protocol \"{}\", not {}: it is not a relay",
                                              escape(chosen), alpn_name(protocol)));
  }
  const bool psk_used = SSL_session_reused(ssl) == 1;
  if (protocol == Protocol::kChannel && !psk_used) {
    return Error(Code::kDenied, kKeyNotUsed);
  }
  if (protocol == Protocol::kSession && (psk_used || !handshake.peer_pin)) {
    return Error(Code::kDenied, "the peer proved no certificate: nobody was authenticated");
  }
  return {};
}

}  // namespace nfr::tls
