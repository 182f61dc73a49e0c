// SPDX-License-Identifier: GPL-2.0-only
// Context: the settings of a TLS role, made once and shared by its engines on any thread. Judgements about a single
// handshake are in handshake.cpp.
#include <openssl/crypto.h>
#include <openssl/err.h>

#include <mutex>

#include "nfr/wire/wire.h"
#include "tls/handshake.hpp"
#include "tls/parts.hpp"

namespace nfr::tls {
namespace {

// Both with SHA-256: an external PSK is tied to a hash (RFC 8446 4.2.11). ChaCha20 for devices without AES.
constexpr const char* kCipherSuites = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
constexpr long kPeerCertificateBytesMax = 8192;

Error refused(const char* what) {
  ERR_clear_error();
  return Error(Code::kSystem, std::string("TLS context: OpenSSL refused ") + what +
                                  " (does the system's OpenSSL policy forbid TLS 1.3, Ed25519 or X25519?)");
}

Result<SslCtxPtr> make_base(const SSL_METHOD* method) {
  SslCtxPtr owner(SSL_CTX_new(method));
  SSL_CTX* ctx = owner.get();
  if (ctx == nullptr) return refused("a context");
  if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1) {
    return refused("TLS 1.3");
  }
  if (SSL_CTX_set_ciphersuites(ctx, kCipherSuites) != 1) return refused("the cipher suites");
  if (SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1) return refused("the groups");
  if (SSL_CTX_set1_sigalgs_list(ctx, "ed25519") != 1) return refused("Ed25519 signatures");
  SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(ctx, kPeerCertificateBytesMax);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_cert_verify_callback(ctx, on_verify, nullptr);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return owner;
}

Status use_identity(SSL_CTX* ctx, const Identity& identity) {
  const Identity::Parts& parts = identity.parts();
  if (SSL_CTX_use_certificate(ctx, parts.certificate.get()) != 1 || SSL_CTX_use_PrivateKey(ctx, parts.key.get()) != 1) {
    return refused("our certificate");
  }
  return {};
}

Status offer(SSL_CTX* ctx, Protocol protocol) {
  const std::string_view name = alpn_name(protocol);
  const std::string list = static_cast<char>(name.size()) + std::string(name);
  // This one returns 0 on success.
  const int failed = SSL_CTX_set_alpn_protos(ctx, reinterpret_cast<const unsigned char*>(list.data()),
                                             static_cast<unsigned>(list.size()));
  if (failed != 0) return refused("the ALPN name");
  return {};
}

Status set_relay_rules(SSL_CTX* ctx) {
  // No tickets, no early data: a session is resumed by nothing, a channel only by its own key.
  if (SSL_CTX_set_num_tickets(ctx, 0) != 1 || SSL_CTX_set_max_early_data(ctx, 0) != 1 ||
      SSL_CTX_set_recv_max_early_data(ctx, 0) != 1) {
    return refused("to switch tickets and early data off");
  }
  // Asked for by OpenSSL wherever a PSK can be accepted and certificates are verified.
  constexpr unsigned char kIdContext[] = {'n', 'f'};
  if (SSL_CTX_set_session_id_context(ctx, kIdContext, sizeof kIdContext) != 1) return refused("the session context");
  SSL_CTX_set_client_hello_cb(ctx, on_client_hello, nullptr);
  SSL_CTX_set_alpn_select_cb(ctx, on_select_alpn, nullptr);
  SSL_CTX_set_psk_find_session_callback(ctx, on_find_psk);
  return {};
}

Result<SslCtxPtr> make_channel_base() {
  auto ctx = make_base(TLS_client_method());
  if (!ctx) return ctx.error();
  if (Status status = offer(ctx->get(), Protocol::kChannel); !status) return status.error();
  SSL_CTX_set_psk_use_session_callback(ctx->get(), on_use_psk);
  return ctx;
}

// What channels differ in, their PSK, is in their Handshake: one OpenSSL context, tens of kilobytes, serves them all.
// Kept for the life of the process once it could be made.
Result<SslCtxPtr> shared_channel_base() {
  static std::mutex mutex;
  static SSL_CTX* base = nullptr;
  const std::lock_guard lock(mutex);
  if (base == nullptr) {
    auto made = make_channel_base();
    if (!made) return made.error();
    base = made->release();
  }
  SSL_CTX_up_ref(base);
  return SslCtxPtr(base);
}

}  // namespace

Context::Parts::~Parts() { OPENSSL_cleanse(psk.data(), psk.size()); }

Context::Context() : parts_(std::make_unique<Parts>()) {}
Context::~Context() = default;

Result<std::shared_ptr<const Context>> Context::relay(std::shared_ptr<const Identity> identity, PskLookup psk) {
  NFR_ASSERT(identity != nullptr);
  auto ctx = make_base(TLS_server_method());
  if (!ctx) return ctx.error();
  if (Status status = use_identity(ctx->get(), *identity); !status) return status.error();
  if (Status status = set_relay_rules(ctx->get()); !status) return status.error();
  const std::shared_ptr<Context> context(new Context());
  context->parts_->role = Role::kRelay;
  context->parts_->identity = std::move(identity);
  context->parts_->lookup = std::move(psk);
  context->parts_->ctx = *std::move(ctx);
  return std::shared_ptr<const Context>(context);
}

Result<std::shared_ptr<const Context>> Context::agent_session(std::shared_ptr<const Identity> identity,
                                                              std::array<core::Pin, 2> pins) {
  NFR_ASSERT(identity != nullptr);
  auto ctx = make_base(TLS_client_method());
  if (!ctx) return ctx.error();
  if (Status status = use_identity(ctx->get(), *identity); !status) return status.error();
  if (Status status = offer(ctx->get(), Protocol::kSession); !status) return status.error();
  const std::shared_ptr<Context> context(new Context());
  context->parts_->role = Role::kAgentSession;
  context->parts_->identity = std::move(identity);
  context->parts_->pins = pins;
  context->parts_->ctx = *std::move(ctx);
  return std::shared_ptr<const Context>(context);
}

Result<std::shared_ptr<const Context>> Context::agent_channel(std::string psk_identity, const core::Key& psk) {
  if (psk_identity.empty() || psk_identity.size() > kPskIdentityBytesMax) {
    return Error(Code::kInvalid, "a channel's PSK identity has 1 to " + std::to_string(kPskIdentityBytesMax) +
                                     " bytes, not " + std::to_string(psk_identity.size()));
  }
  auto ctx = shared_channel_base();
  if (!ctx) return ctx.error();
  const std::shared_ptr<Context> context(new Context());
  context->parts_->role = Role::kAgentChannel;
  context->parts_->psk_identity = std::move(psk_identity);
  context->parts_->psk = psk;
  context->parts_->ctx = *std::move(ctx);
  return std::shared_ptr<const Context>(context);
}

}  // namespace nfr::tls
