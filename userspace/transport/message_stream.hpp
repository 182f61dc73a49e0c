// SPDX-License-Identifier: GPL-2.0-only
// MessageStream: the framing of sessions, u32 big-endian length and payload, above any Endpoint (TLS in life). Used
// by both daemons on their control loop. Does not look into a payload.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "io/loop.hpp"
#include "transport/endpoint.hpp"

namespace nfr::transport {

class MessageEvents {
 public:
  virtual ~MessageEvents() = default;
  /// One payload, 1..message_max bytes, valid during the call. The stream must not be destroyed inside.
  virtual void on_message(std::string_view payload) = 0;
  /// The last event; the stream may be destroyed inside. `reason` is for logs, without bytes of the peer.
  virtual void on_closed(std::string_view reason) = 0;
};

class MessageStream final : private EndpointEvents {
 public:
  static constexpr std::size_t kQueueBytesMax = 4 * 1024 * 1024;

  MessageStream(io::Loop& loop, std::unique_ptr<Endpoint> endpoint, MessageEvents& events, std::size_t message_max);

  void start();
  void set_message_max(std::size_t bytes) { message_max_ = bytes; }
  /// Queues one payload (1 byte at least); more than kQueueBytesMax unsent ends the stream: "peer does not read".
  void send(std::string_view payload);
  /// Ends it in order after what was queued; by RST when the peer does not take that, or end too, in 2 s.
  /// on_closed follows.
  void close();
  /// Ends it by RST now. on_closed follows, not from inside.
  void abort(std::string reason) { fail(std::move(reason)); }

 private:
  void on_data(std::span<const std::byte> bytes) override;
  void on_eof() override;
  void on_written() override;
  void on_finished() override;
  void on_error(int os_errno) override;
  void on_closed() override;

  void parse();
  bool take_message();
  void flush();
  void finish_if_flushed();
  void fail(std::string reason);
  void end(CloseMode mode);

  std::unique_ptr<Endpoint> endpoint_;
  MessageEvents& events_;
  std::size_t message_max_;
  std::string received_;  // not parsed yet: at most one message and one chunk
  std::string writing_;   // in flight
  std::string queued_;    // behind it
  bool parsing_ = false;
  bool eof_ = false;
  bool finishing_ = false;  // finish() was called
  bool finished_ = false;
  bool ending_ = false;   // close() was called, or the peer ended
  bool closing_ = false;  // the endpoint is closing
  std::string reason_;
  io::Timer soon_;  // a close decided inside the owner's call
  io::Timer linger_;
};

}  // namespace nfr::transport
