// SPDX-License-Identifier: GPL-2.0-only
// TlsEndpoint: an Endpoint over a TLS 1.3 connection whose handshake is done (TlsHandshake makes it). Used for
// sessions and for channels whose leg is tls, on one loop's thread. An end of the TCP stream without close_notify
// is an error, never EOF; so is anything after close_notify but FIN.
#pragma once

#include <memory>
#include <string>

#include "io/loop.hpp"
#include "tls/tls.hpp"
#include "transport/raw_endpoint.hpp"

namespace nfr::transport {

/// A connection on its way to another loop's thread.
struct Carrier {
  Fd socket;
  std::unique_ptr<tls::Engine> engine;  ///< null: plain; else its handshake is done
};

/// An endpoint of the right kind over what was carried here.
std::unique_ptr<Endpoint> make_endpoint(io::Loop& loop, Carrier carrier);

class TlsEndpoint final : public Endpoint, private EndpointEvents {
 public:
  /// `engine` has finished its handshake; bytes it was fed beyond that are kept.
  TlsEndpoint(io::Loop& loop, std::unique_ptr<RawEndpoint> raw, std::unique_ptr<tls::Engine> engine);

  void set_events(EndpointEvents* events) override { events_ = events; }
  void read() override { read_up_to(kChunkBytes); }
  void read_at_most(std::size_t bytes) override;
  void release_data() override { plain_.reset(); }
  void write(std::span<const std::byte> bytes) override;
  void finish() override;
  void watch_reset() override { raw_->watch_reset(); }
  void close(CloseMode mode) override;

  const tls::Engine& engine() const { return *engine_; }

  /// Nothing is in flight: detach() is allowed. A peer can prevent it by asking for an answer (KeyUpdate).
  bool idle() const { return wanted_ == 0 && !raw_writing_ && !closing_ && !failed_; }
  /// Socket and engine, to be taken to another loop's thread; only while idle().
  Carrier detach();

 private:
  static constexpr std::size_t kChunkBytes = 64 * 1024;  // of plaintext, a direction

  void on_data(std::span<const std::byte> wire) override;
  void on_eof() override;
  void on_written() override;
  void on_copied() override;
  void on_finished() override { events_->on_finished(); }
  void on_error(int os_errno) override { fail(os_errno); }
  void on_closed() override { events_->on_closed(); }

  void read_up_to(std::size_t bytes);
  void deliver();
  void pump_output();
  void encrypt_next();
  void report_broken_engine();
  void fail(int os_errno);

  io::Loop& loop_;
  std::unique_ptr<RawEndpoint> raw_;
  std::unique_ptr<tls::Engine> engine_;
  EndpointEvents* events_ = nullptr;

  std::unique_ptr<std::byte[]> plain_;      // bytes of the last on_data
  std::size_t wanted_ = 0;                  // of the read the owner waits for; 0: none
  bool drained_ = false;                    // the engine has nothing left to decrypt
  bool notified_ = false;                   // close_notify was read
  std::span<const std::byte> unencrypted_;  // rest of the owner's write
  bool writing_ = false;                    // the owner waits for on_written
  bool finish_asked_ = false;
  std::string wire_;  // encrypted bytes raw_ is writing
  bool raw_writing_ = false;
  bool raw_finishing_ = false;
  bool engine_broken_ = false;  // to be reported outside of the owner's call
  bool failed_ = false;
  bool closing_ = false;
  io::Timer soon_;  // delivers bytes that were decrypted before the owner asked
};

}  // namespace nfr::transport
