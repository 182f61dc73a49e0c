// SPDX-License-Identifier: GPL-2.0-only
// Engine: one TLS connection between two memory buffers. Used by one thread at a time, which may change between
// calls; does no I/O, starts no timer, and never reports a transport's EOF, which only its caller can see.
#include <fmt/format.h>
#include <openssl/err.h>

#include <algorithm>
#include <limits>

#include "base/text.hpp"
#include "nfr/wire/wire.h"
#include "tls/handshake.hpp"
#include "tls/hello.hpp"
#include "tls/parts.hpp"

namespace nfr::tls {

struct Engine::Parts {
  explicit Parts(std::shared_ptr<const Context> owner) : context(std::move(owner)), handshake(context->parts()) {}

  const Error& fail(Error error) {
    if (!failed) failed = std::move(error);
    return *failed;
  }
  bool accept_head(std::span<const std::byte> wire);
  Error explain(std::string_view doing);
  Status ready(std::string_view doing) const;

  std::shared_ptr<const Context> context;
  Handshake handshake;
  SslPtr ssl;
  BIO* in = nullptr;   // owned by ssl
  BIO* out = nullptr;  // owned by ssl
  std::array<unsigned char, kHelloHeadBytes> head{};
  std::size_t head_length = 0;
  bool done = false;
  bool closed = false;          // our close_notify was sent
  std::optional<Error> failed;  // nothing works after the first failure
};

// Looks at a client's first bytes wherever feed() happened to cut them.
bool Engine::Parts::accept_head(std::span<const std::byte> wire) {
  const std::size_t count = std::min(wire.size(), head.size() - head_length);
  for (std::size_t i = 0; i < count; ++i) head[head_length++] = std::to_integer<unsigned char>(wire[i]);
  return plausible_hello_head(std::span(head).first(head_length));
}

Error Engine::Parts::explain(std::string_view doing) {
  Error error = take_ssl_error(doing);
  if (handshake.cause && !done) error = handshake.cause->context(doing);
  return fail(std::move(error));
}

Status Engine::Parts::ready(std::string_view doing) const {
  if (failed) return *failed;
  if (!done) return Error(Code::kInvalid, fmt::format("TLS {}: the handshake is not done", doing));
  return {};
}

Engine::Engine() = default;
Engine::~Engine() {
  parts_.reset();
  ERR_clear_error();
}

Result<std::unique_ptr<Engine>> Engine::create(std::shared_ptr<const Context> context) {
  NFR_ASSERT(context != nullptr);
  ERR_clear_error();
  auto parts = std::make_unique<Parts>(std::move(context));
  parts->ssl.reset(SSL_new(parts->context->parts().ctx.get()));
  parts->in = BIO_new(BIO_s_mem());
  parts->out = BIO_new(BIO_s_mem());
  if (parts->ssl == nullptr || parts->in == nullptr || parts->out == nullptr) {
    BIO_free(parts->in);
    BIO_free(parts->out);
    ERR_clear_error();
    return Error(Code::kExhausted, "no memory for a TLS connection");
  }
  SSL_set_bio(parts->ssl.get(), parts->in, parts->out);
  SSL_set_app_data(parts->ssl.get(), &parts->handshake);
  if (parts->context->parts().role == Role::kRelay) {
    SSL_set_accept_state(parts->ssl.get());
  } else {
    SSL_set_connect_state(parts->ssl.get());
  }
  std::unique_ptr<Engine> engine(new Engine());
  engine->parts_ = std::move(parts);
  return engine;
}

void Engine::feed(std::span<const std::byte> wire) {
  Parts& p = *parts_;
  if (p.failed || wire.empty()) return;
  if (!p.done && BIO_ctrl_pending(p.in) + wire.size() > kUnprocessedBytesMax) {
    p.fail(Error(Code::kProtocol,
                 fmt::format("TLS handshake: more than {} bytes arrived before it was done", kUnprocessedBytesMax)));
    return;
  }
  if (p.context->parts().role == Role::kRelay && p.head_length < p.head.size() && !p.accept_head(wire)) {
    p.fail(Error(Code::kProtocol, "TLS handshake: this is no TLS ClientHello, or one that claims more than " +
                                      std::to_string(kHelloBytesMax) + " bytes"));
    return;
  }
  while (!wire.empty()) {
    const auto piece = wire.first(std::min<std::size_t>(wire.size(), std::numeric_limits<int>::max()));
    const int taken = BIO_write(p.in, piece.data(), static_cast<int>(piece.size()));
    if (taken <= 0) {
      ERR_clear_error();
      p.fail(Error(Code::kExhausted, "no memory for received TLS bytes"));
      return;
    }
    wire = wire.subspan(static_cast<std::size_t>(taken));
  }
}

bool Engine::has_output() const { return BIO_ctrl_pending(parts_->out) > 0; }

std::string Engine::take_output() {
  std::string wire(BIO_ctrl_pending(parts_->out), '\0');
  std::size_t length = 0;
  if (!wire.empty() && BIO_read_ex(parts_->out, wire.data(), wire.size(), &length) != 1) length = 0;
  wire.resize(length);
  return wire;
}

Result<Engine::Progress> Engine::handshake() {
  Parts& p = *parts_;
  if (p.failed) return *p.failed;
  if (p.done) return Progress::kDone;
  ERR_clear_error();
  const int rc = SSL_do_handshake(p.ssl.get());
  if (rc == 1) {
    if (Status status = check_finished(p.ssl.get(), p.handshake); !status) {
      return p.fail(status.error().context("TLS handshake"));
    }
    p.done = true;
    return Progress::kDone;
  }
  if (SSL_get_error(p.ssl.get(), rc) == SSL_ERROR_WANT_READ) return Progress::kWantMore;
  return p.explain("TLS handshake");
}

Result<Engine::ReadResult> Engine::read(std::span<std::byte> out) {
  Parts& p = *parts_;
  if (Status status = p.ready("read"); !status) return status.error();
  ReadResult result;
  while (result.bytes < out.size()) {
    ERR_clear_error();
    std::size_t got = 0;
    const int rc = SSL_read_ex(p.ssl.get(), out.data() + result.bytes, out.size() - result.bytes, &got);
    result.bytes += got;
    if (rc == 1) continue;
    const int why = SSL_get_error(p.ssl.get(), rc);
    if (why == SSL_ERROR_WANT_READ) break;
    if (why == SSL_ERROR_ZERO_RETURN) {
      // OpenSSL takes no further record: whatever arrived together with close_notify is still in the BIO.
      if (BIO_ctrl_pending(p.in) > 0) return p.fail(Error(Code::kProtocol, "TLS read: bytes behind close_notify"));
      result.eof = result.bytes == 0;  // else the next read says so
      break;
    }
    const Error error = p.explain("TLS read");
    if (result.bytes > 0) break;  // what came before the failure counts; the next read reports it
    return error;
  }
  return result;
}

Status Engine::write(std::span<const std::byte> plain) {
  Parts& p = *parts_;
  if (Status status = p.ready("write"); !status) return status;
  if (p.closed) return Error(Code::kInvalid, "TLS write: our direction was ended by close_notify");
  while (!plain.empty()) {
    ERR_clear_error();
    std::size_t put = 0;
    if (SSL_write_ex(p.ssl.get(), plain.data(), plain.size(), &put) != 1) return p.explain("TLS write");
    plain = plain.subspan(put);
  }
  return {};
}

Status Engine::close_notify() {
  Parts& p = *parts_;
  if (Status status = p.ready("close"); !status) return status;
  // A second SSL_shutdown would read, and throw away, what the peer still sends.
  if (p.closed) return {};
  ERR_clear_error();
  if (SSL_shutdown(p.ssl.get()) < 0) return p.explain("TLS close");
  p.closed = true;
  return {};
}

std::string Engine::alpn() const {
  if (!parts_->done) return {};
  const unsigned char* data = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(parts_->ssl.get(), &data, &length);
  return {reinterpret_cast<const char*>(data), length};
}

std::optional<core::Pin> Engine::peer_pin() const {
  if (!parts_->done) return std::nullopt;
  return parts_->handshake.peer_pin;
}

std::string Engine::psk_identity() const { return parts_->done ? parts_->handshake.psk_identity : std::string(); }

Result<core::Key> Engine::export_key(std::string_view label) const {
  if (Status status = parts_->ready("export"); !status) return status.error();
  ERR_clear_error();
  core::Key key{};
  const int ok = SSL_export_keying_material(parts_->ssl.get(), reinterpret_cast<unsigned char*>(key.data()), key.size(),
                                            label.data(), label.size(), nullptr, 0, 0);
  if (ok != 1) return take_ssl_error("TLS export");
  return key;
}

Result<core::SessionKeys> Engine::export_session_keys() const {
  core::SessionKeys keys;
  const std::pair<const char*, core::Key*> wanted[] = {{NFR_EXPORT_TO_AGENT, &keys.to_agent},
                                                       {NFR_EXPORT_TO_RELAY, &keys.to_relay},
                                                       {NFR_EXPORT_CHANNEL_PSK, &keys.channel_psk}};
  for (const auto& [label, key] : wanted) {
    auto exported = export_key(label);
    if (!exported) return exported.error();
    *key = *exported;
  }
  return keys;
}

}  // namespace nfr::tls
