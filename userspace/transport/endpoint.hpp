// SPDX-License-Identifier: GPL-2.0-only
// Endpoint: one end of a flow in tier user (raw socket, TLS channel; later a front's frames, a QUIC stream, an
// HTTP body). Bytes, back-pressure by pulling, half-close and reset are its operations; a Pair joins two of them.
// One loop thread owns an endpoint from adoption to on_closed.
//
// Contract, kept by every kind and tested for each:
//  * at most one read and one write outstanding; finish() only after the last write completed;
//  * data passed to on_data stays valid until the next read() or release_data();
//  * EOF is reported only for an orderly end of the peer (FIN; TLS: close_notify), anything else is an error;
//  * until both directions ended in order the socket carries SO_LINGER {1,0}: if the process dies, or close(reset)
//    is called, the peer sees RST, never FIN;
//  * what the peer sent before an RST is still delivered as long as the owner keeps reading; an owner that is not
//    reading (back-pressure) hears of the RST within a few milliseconds, at the price of those bytes;
//  * no event is delivered from inside a call of the owner; after on_closed none is delivered at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "io/pipes.hpp"

namespace nfr::transport {

/// Receives what happens on an endpoint. The endpoint may be destroyed only inside or after on_closed.
class EndpointEvents {
 public:
  virtual ~EndpointEvents() = default;
  virtual void on_data(std::span<const std::byte> bytes) = 0;  ///< never empty
  virtual void on_eof() = 0;                                   ///< the peer ended its direction in order
  virtual void on_written() = 0;                               ///< all bytes of the last write() are with the kernel
  /// The write is stuck and the endpoint took a copy: the caller's bytes are no longer needed, so that a peer that
  /// never reads holds private memory (128 KiB at most) and not the loop's shared buffers. on_written still follows. Or
  /// the connection is known to be broken and nobody will send them: then on_error follows.
  virtual void on_copied() {}
  virtual void on_finished() = 0;           ///< our FIN is queued behind all bytes
  virtual void on_error(int os_errno) = 0;  ///< broken; the owner calls close(kReset)
  virtual void on_closed() = 0;             ///< descriptor closed, nothing in flight
  virtual void on_rested() {}               ///< after rest(): nothing is in flight, the loop knows nothing of it
  virtual void on_readable() {}             ///< after await_readable()
  virtual void on_writable() {}             ///< after await_writable()
  /// Instead of on_writable, which will not follow: the peer has taken nothing for a while.
  virtual void on_stuck() {}
};

enum class CloseMode : std::uint8_t {
  kReset,    ///< RST now; unsent bytes are dropped
  kOrderly,  ///< only after EOF was read and our FIN was queued: the kernel delivers what is left
};

class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual void set_events(EndpointEvents* events) = 0;  ///< must be set before any operation
  virtual void read() = 0;                              ///< asks for the next bytes, EOF or error
  /// The same, but never takes more than `bytes` (at least 1) from the peer: what follows stays for the next read.
  virtual void read_at_most(std::size_t bytes) = 0;
  virtual void release_data() = 0;                           ///< the bytes of the last on_data are no longer needed
  virtual void write(std::span<const std::byte> bytes) = 0;  ///< not empty; valid until on_written or on_closed
  virtual void finish() = 0;                                 ///< half-close our direction
  /// From now on an RST of the peer is reported by on_error even while no read is outstanding. May be repeated.
  virtual void watch_reset() = 0;
  virtual void close(CloseMode mode) = 0;  ///< once; on_closed follows

  /// Whether bytes can go to and from a pipe without being copied through user space; then the four below may be
  /// called.
  virtual bool can_splice() const { return false; }
  /// What has arrived, into the empty pipe, at once: how many bytes, 0 if there are none now. Nothing: read() will tell
  /// of an end or an error. Not while a read is outstanding.
  virtual std::optional<std::size_t> splice_to(io::Pipe&) { return std::nullopt; }
  /// Out of the pipe, at once, what the socket takes: maybe nothing. Not while a write is outstanding. If the
  /// connection is broken on_error follows. False: it cannot be done here, the rest has to be copied.
  virtual bool splice_from(io::Pipe&) { return false; }
  /// As a read that takes nothing: on_readable says that splice_to() or read() has something to tell.
  virtual void await_readable() {}
  /// As a write: on_writable, on_stuck or on_error follows.
  virtual void await_writable() {}

  /// False for a kind that holds bytes nobody else could send for it (TLS).
  virtual bool can_rest() const { return false; }
  /// Stops without losing a byte: what is in flight is cancelled, nothing new is submitted, on_rested follows. Calls
  /// are remembered until resume(), and what had already happened (data, EOF, written, an error) is still reported.
  virtual void rest() {}    ///< only if can_rest()
  virtual void resume() {}  ///< only after on_rested
  /// Rest of the write() that has not completed; does not change while the endpoint rests.
  virtual std::span<const std::byte> unsent() const { return {}; }
  /// Gives a rested endpoint's socket away, still with SO_LINGER {1,0}; nothing else may be called afterwards.
  virtual Fd release() { return {}; }
};

}  // namespace nfr::transport
