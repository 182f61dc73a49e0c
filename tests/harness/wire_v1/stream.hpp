// SPDX-License-Identifier: GPL-2.0-only
// A TCP connection with or without TLS 1.3 as protocol version 1 uses it: whole messages for the head, then two
// directions that end one by one. Frozen: see codec.hpp. One thread a stream.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "wire_v1/codec.hpp"

namespace wire_v1 {

struct Deleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
template <class T>
using Owned = std::unique_ptr<T, Deleter>;

int dial(const std::string& host_port);  ///< a connected socket; throws
int listen_on(const std::string& host_port);

class Stream {
 public:
  /// Owns the socket; `ssl`, where there is one, has finished its handshake over it.
  explicit Stream(int fd, Owned<SSL> ssl = nullptr);
  ~Stream();
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&&) = delete;

  Bytes read_exactly(std::size_t size);  ///< throws at an end or after 20 s
  void write_all(const Bytes& bytes);

  /// Without waiting: what has arrived, at most 64 KiB; empty when nothing has. Throws on a reset, and on a FIN
  /// without close_notify.
  Bytes read_some();
  bool ended() const { return ended_; }        ///< the peer's direction ended in order
  std::size_t write_some(const Bytes& bytes);  ///< without waiting; how many were taken
  void finish();                               ///< ends our direction
  void reset();                                ///< the destructor will close with a RST
  int fd() const { return fd_; }
  SSL* ssl() const { return ssl_.get(); }

 private:
  void set_blocking(bool on);
  int fd_;
  Owned<SSL> ssl_;
  bool ended_ = false;
};

/// A self-signed Ed25519 certificate and its pin.
struct Identity {
  Identity();
  Owned<EVP_PKEY> key;
  Owned<X509> certificate;
  Bytes pin;
};
Bytes pin_of(X509* certificate);
Bytes peer_pin(const Stream& stream);
Secrets export_secrets(const Stream& stream);

/// Client handshakes of an agent.
Stream open_session(const std::string& relay, const Identity& identity);
Stream open_tls_channel(const std::string& relay, const Channel& channel, const Bytes& psk);

/// The relay's side: takes a session or, with the PSK that `find` returns for an identity, a channel.
struct Acceptor {
  virtual ~Acceptor() = default;
  virtual Bytes psk_of(const std::string& identity) = 0;  ///< empty: refused
};
Stream accept_tls(int fd, const Identity& identity, Acceptor& acceptor);
std::string alpn_of(const Stream& stream);

/// Session messages: length and JSON text. No text: the peer closed the session.
void send_message(Stream& stream, const std::string& json);
std::string read_message(Stream& stream);

/// Carries bytes both ways until both directions have ended; either one's reset is the other's.
void join_streams(Stream& a, Stream& b);

}  // namespace wire_v1
