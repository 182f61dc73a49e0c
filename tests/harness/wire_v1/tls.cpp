// SPDX-License-Identifier: GPL-2.0-only
// TLS 1.3 of protocol version 1: sessions with pinned Ed25519 keys, channels with a PSK. Frozen: see codec.hpp.
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <stdexcept>
#include <utility>

#include "wire_v1/stream.hpp"

namespace wire_v1 {
namespace {

constexpr char kSession[] = "\4nf/1";
constexpr char kChannel[] = "\7nf-ch/1";

// What the callbacks of one handshake need.
struct Needs {
  Channel channel;
  Bytes psk;
  Acceptor* acceptor = nullptr;
};

[[noreturn]] void fail(const std::string& what) {
  char text[256] = "";
  if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  throw std::runtime_error(what + (text[0] == '\0' ? "" : ": ") + text);
}

int accept_any(X509_STORE_CTX*, void*) { return 1; }

Owned<SSL_CTX> make_context(const SSL_METHOD* method) {
  Owned<SSL_CTX> context(SSL_CTX_new(method));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256");
  SSL_CTX_set1_groups_list(context.get(), "X25519:P-256");
  SSL_CTX_set1_sigalgs_list(context.get(), "ed25519");
  SSL_CTX_set_cert_verify_callback(context.get(), accept_any, nullptr);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
  return context;
}

void use(SSL_CTX* context, const Identity& identity) {
  SSL_CTX_use_certificate(context, identity.certificate.get());
  SSL_CTX_use_PrivateKey(context, identity.key.get());
}

SSL_SESSION* session_of(SSL* ssl, const Bytes& psk) {
  constexpr unsigned char kSuite[] = {0x13, 0x01};
  SSL_SESSION* session = SSL_SESSION_new();
  SSL_SESSION_set1_master_key(session, reinterpret_cast<const unsigned char*>(psk.data()), psk.size());
  SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, kSuite));
  SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION);
  return session;
}

int use_psk(SSL* ssl, const EVP_MD*, const unsigned char** id, std::size_t* id_size, SSL_SESSION** session) {
  const auto& needs = *static_cast<Needs*>(SSL_get_app_data(ssl));
  static thread_local std::string identity;
  identity = psk_identity(needs.channel);
  *id = reinterpret_cast<const unsigned char*>(identity.data());
  *id_size = identity.size();
  *session = session_of(ssl, needs.psk);
  return 1;
}

int find_psk(SSL* ssl, const unsigned char* id, std::size_t id_size, SSL_SESSION** session) {
  const auto& needs = *static_cast<Needs*>(SSL_get_app_data(ssl));
  const Bytes psk = needs.acceptor->psk_of(std::string(reinterpret_cast<const char*>(id), id_size));
  *session = psk.empty() ? nullptr : session_of(ssl, psk);
  return 1;
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
                void*) {
  const std::string offered(reinterpret_cast<const char*>(in), in_size);
  if (offered != kSession && offered != kChannel) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = in + 1;
  *out_size = in[0];
  return SSL_TLSEXT_ERR_OK;
}

Stream handshake(int fd, SSL_CTX* context, Needs& needs, int (*run)(SSL*)) {
  Owned<SSL> ssl(SSL_new(context));
  SSL_set_fd(ssl.get(), fd);
  SSL_set_app_data(ssl.get(), &needs);
  Stream stream(fd, std::move(ssl));
  if (run(stream.ssl()) != 1) fail("TLS handshake");
  return stream;
}

Stream connect_as(const std::string& relay, SSL_CTX* context, const char* alpn, Needs& needs) {
  const std::string list = alpn;
  SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(list.data()),
                          static_cast<unsigned>(list.size()));
  return handshake(dial(relay), context, needs, SSL_connect);
}

Bytes export_key(const Stream& stream, const std::string& label) {
  unsigned char key[32];
  if (SSL_export_keying_material(stream.ssl(), key, sizeof key, label.data(), label.size(), nullptr, 0, 0) != 1) {
    fail("exporter " + label);
  }
  return Bytes(reinterpret_cast<char*>(key), sizeof key);
}

}  // namespace

Identity::Identity() : key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")), certificate(X509_new()) {
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_sign(certificate.get(), key.get(), nullptr);
  pin = pin_of(certificate.get());
}

Bytes pin_of(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) fail("public key");
  const Bytes info(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return sha256(info);
}

Bytes peer_pin(const Stream& stream) {
  const Owned<X509> certificate(SSL_get1_peer_certificate(stream.ssl()));
  if (!certificate) fail("the peer showed no certificate");
  return pin_of(certificate.get());
}

Secrets export_secrets(const Stream& stream) {
  return {export_key(stream, "EXPORTER-netferry-channel-to-agent"),
          export_key(stream, "EXPORTER-netferry-channel-to-relay"),
          export_key(stream, "EXPORTER-netferry-channel-psk")};
}

Stream open_session(const std::string& relay, const Identity& identity) {
  const Owned<SSL_CTX> context = make_context(TLS_client_method());
  use(context.get(), identity);
  Needs needs;
  return connect_as(relay, context.get(), kSession, needs);
}

Stream open_tls_channel(const std::string& relay, const Channel& channel, const Bytes& psk) {
  const Owned<SSL_CTX> context = make_context(TLS_client_method());
  SSL_CTX_set_psk_use_session_callback(context.get(), use_psk);
  Needs needs{channel, psk};
  return connect_as(relay, context.get(), kChannel, needs);
}

Stream accept_tls(int fd, const Identity& identity, Acceptor& acceptor) {
  const Owned<SSL_CTX> context = make_context(TLS_server_method());
  use(context.get(), identity);
  SSL_CTX_set_num_tickets(context.get(), 0);
  constexpr unsigned char kIdContext[] = {'v', '1'};
  SSL_CTX_set_session_id_context(context.get(), kIdContext, sizeof kIdContext);
  SSL_CTX_set_alpn_select_cb(context.get(), select_alpn, nullptr);
  SSL_CTX_set_psk_find_session_callback(context.get(), find_psk);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  Needs needs{{}, {}, &acceptor};
  return handshake(fd, context.get(), needs, SSL_accept);
}

std::string alpn_of(const Stream& stream) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(stream.ssl(), &name, &size);
  return std::string(reinterpret_cast<const char*>(name), size);
}

}  // namespace wire_v1
