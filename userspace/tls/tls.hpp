// SPDX-License-Identifier: GPL-2.0-only
// TLS 1.3 without I/O: keys, contexts and an engine that turns plaintext into wire bytes and back in memory.
// The only room that sees OpenSSL. An Engine may move between threads but is used by one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "core/nouns.hpp"
#include "core/seams.hpp"

namespace nfr::tls {

/// core::Crypto on OpenSSL.
class OpenSslCrypto final : public core::Crypto {
 public:
  core::Digest sha256(std::span<const std::byte> data) const override;
  core::Digest hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> data) const override;
  bool equal(std::span<const std::byte> a, std::span<const std::byte> b) const override;
};

/// An Ed25519 private key with the self-signed certificate TLS wants around it. Shared, immutable.
class Identity {
 public:
  static Result<std::shared_ptr<const Identity>> generate();
  /// PEM private key. A group- or world-readable file is refused with the chmod that mends it.
  static Result<std::shared_ptr<const Identity>> load(const std::string& path);
  /// load(), or generate() and save when the file does not exist. Created 0600, written aside, fsynced, renamed.
  static Result<std::shared_ptr<const Identity>> load_or_create(const std::string& path);
  Status save(const std::string& path) const;
  const core::Pin& pin() const;

  ~Identity();
  struct Parts;  // OpenSSL types
  const Parts& parts() const { return *parts_; }

 private:
  Identity();
  std::unique_ptr<Parts> parts_;
};

/// Finds the PSK for a channel's identity string (a stranger's bytes, at most 64); nothing means the handshake fails.
/// Called inside Engine::handshake(), on that engine's thread: it must be safe to call from every data thread.
using PskLookup = std::function<std::optional<core::Key>(std::string_view identity)>;

/// A server or client role with its settings: TLS 1.3 only, no tickets, no early data, no renegotiation.
class Context {
 public:
  /// The tunnel port. ALPN nf/1: asks for the agent's certificate (any Ed25519 key; the pin is the caller's to
  /// judge). ALPN nf-ch/1: PSK with (EC)DHE only, no certificate. Any other ALPN is refused.
  static Result<std::shared_ptr<const Context>> relay(std::shared_ptr<const Identity> identity, PskLookup psk);
  /// An agent's session: presents `identity`, accepts a relay whose pin is one of `pins`.
  static Result<std::shared_ptr<const Context>> agent_session(std::shared_ptr<const Identity> identity,
                                                              std::array<core::Pin, 2> pins);
  /// An agent's channel: ALPN nf-ch/1, PSK under this identity string.
  static Result<std::shared_ptr<const Context>> agent_channel(std::string psk_identity, const core::Key& psk);

  ~Context();
  struct Parts;
  const Parts& parts() const { return *parts_; }

 private:
  Context();
  std::unique_ptr<Parts> parts_;
};

/// One TLS connection in memory.
/// Flow: feed() what arrived, handshake() until kDone, then read()/write(); after every call send take_output().
class Engine {
 public:
  static Result<std::unique_ptr<Engine>> create(std::shared_ptr<const Context> context);
  ~Engine();

  enum class Progress { kDone, kWantMore };
  /// More than this unprocessed before the handshake is done is an error of the next call: feed() and handshake()
  /// take turns. Afterwards nothing limits what feed() buffers but the caller, who reads until 0 before he feeds.
  static constexpr std::size_t kUnprocessedBytesMax = 65536;
  void feed(std::span<const std::byte> wire);
  bool has_output() const;
  std::string take_output();

  /// kWantMore: feed more (and send the output). Errors name the TLS alert or cause, escaped; a pin that does not
  /// match says which pin was expected and which was seen.
  Result<Progress> handshake();

  struct ReadResult {
    std::size_t bytes = 0;
    bool eof = false;  ///< close_notify
  };
  /// Fills `out` as far as whole records have arrived. bytes == 0 and !eof: feed more. An error is final, and comes
  /// only after every byte that was received intact before it.
  Result<ReadResult> read(std::span<std::byte> out);
  Status write(std::span<const std::byte> plain);  ///< any size; encrypts all of it into the output
  Status close_notify();                           ///< ends our direction; reading goes on

  // After the handshake:
  std::string alpn() const;
  std::optional<core::Pin> peer_pin() const;  ///< nothing for PSK connections
  std::string psk_identity() const;           ///< server side of a PSK connection; else empty
  Result<core::Key> export_key(std::string_view label) const;
  Result<core::SessionKeys> export_session_keys() const;

 private:
  Engine();
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// PSK of one channel: HMAC(session.channel_psk, "nf psk" || number). The identity string is "SESSION-NUMBER" in hex.
core::Key channel_psk(const core::Crypto& crypto, const core::SessionKeys& keys, std::uint64_t number);

}  // namespace nfr::tls
