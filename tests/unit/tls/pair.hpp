// SPDX-License-Identifier: GPL-2.0-only
// For the tests of tls: engines joined in memory, and a raw OpenSSL client that may do what ours never would.
#pragma once

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <map>
#include <memory>
#include <string>

#include "base/text.hpp"
#include "tls/parts.hpp"
#include "tls/tls.hpp"

namespace nfr::tls {

template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message();
    std::abort();
  }
  return *std::move(result);
}

inline core::Key key_of(unsigned char fill) {
  core::Key key{};
  key.fill(std::byte{fill});
  return key;
}

/// One relay with one known channel, and the agent that belongs to it.
struct World {
  std::shared_ptr<const Identity> relay_identity = must(Identity::generate());
  std::shared_ptr<const Identity> agent_identity = must(Identity::generate());
  std::map<std::string, core::Key, std::less<>> channels = {{"5e55-1", key_of(1)}};
  int lookups = 0;
  std::shared_ptr<const Context> relay =
      must(Context::relay(relay_identity, [this](std::string_view identity) -> std::optional<core::Key> {
        ++lookups;
        const auto found = channels.find(identity);
        if (found == channels.end()) return std::nullopt;
        return found->second;
      }));
  std::shared_ptr<const Context> agent =
      must(Context::agent_session(agent_identity, {relay_identity->pin(), core::Pin{}}));

  std::unique_ptr<Engine> server() const { return must(Engine::create(relay)); }
  std::unique_ptr<Engine> client() const { return must(Engine::create(agent)); }
  static std::unique_ptr<Engine> channel(std::string identity, const core::Key& key) {
    return must(Engine::create(must(Context::agent_channel(std::move(identity), key))));
  }
};

/// Moves output both ways until both ends are done or one fails or nothing moves.
struct Outcome {
  Result<Engine::Progress> client = Engine::Progress::kWantMore;
  Result<Engine::Progress> server = Engine::Progress::kWantMore;
  bool done() const {
    return client && server && *client == Engine::Progress::kDone && *server == Engine::Progress::kDone;
  }
  std::string text() const {
    const auto one = [](const Result<Engine::Progress>& result) {
      return result ? std::string(*result == Engine::Progress::kDone ? "done" : "want more") : result.error().message();
    };
    return "client: " + one(client) + "; server: " + one(server);
  }
};

inline bool carry(Engine& from, Engine& to, std::size_t piece = SIZE_MAX) {
  const std::string wire = from.take_output();
  const auto bytes = as_bytes(wire);
  for (std::size_t at = 0; at < bytes.size(); at += std::min(piece, bytes.size() - at)) {
    to.feed(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    if (piece != SIZE_MAX) (void)to.handshake();
  }
  return !wire.empty();
}

inline Outcome connect(Engine& client, Engine& server, std::size_t piece = SIZE_MAX) {
  Outcome outcome;
  for (bool moved = true; moved;) {
    outcome.client = client.handshake();
    moved = carry(client, server, piece);
    outcome.server = server.handshake();
    moved = carry(server, client, piece) || moved;
  }
  return outcome;
}

inline std::string read_some(Engine& engine, std::size_t size = 65536) {
  std::string out(size, '\0');
  auto got = engine.read(std::as_writable_bytes(std::span(out)));
  if (!got) {
    ADD_FAILURE() << got.error().message();
    return {};
  }
  out.resize(got->bytes);
  return out;
}

/// A client built straight on OpenSSL. Configure ctx, then start(), then connect_raw().
struct RawClient {
  SslCtxPtr ctx{SSL_CTX_new(TLS_client_method())};
  SslPtr ssl;
  BIO* in = nullptr;
  BIO* out = nullptr;

  RawClient() { SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_NONE, nullptr); }
  void offer(const std::string& wire_list) {
    ASSERT_EQ(SSL_CTX_set_alpn_protos(ctx.get(), reinterpret_cast<const unsigned char*>(wire_list.data()),
                                      static_cast<unsigned>(wire_list.size())),
              0);
  }
  void start() {
    ssl.reset(SSL_new(ctx.get()));
    in = BIO_new(BIO_s_mem());
    out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), in, out);
    SSL_set_connect_state(ssl.get());
  }
  /// Runs against `server`; its last answer.
  Result<Engine::Progress> run(Engine& server) {
    if (ssl == nullptr) start();
    Result<Engine::Progress> last = Engine::Progress::kWantMore;
    for (int round = 0; round < 4; ++round) {
      SSL_do_handshake(ssl.get());
      std::string wire(BIO_ctrl_pending(out), '\0');
      if (!wire.empty()) BIO_read(out, wire.data(), static_cast<int>(wire.size()));
      server.feed(as_bytes(wire));
      last = server.handshake();
      const std::string back = server.take_output();
      if (!back.empty()) BIO_write(in, back.data(), static_cast<int>(back.size()));
    }
    ERR_clear_error();
    return last;
  }
};

}  // namespace nfr::tls
