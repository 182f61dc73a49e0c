// SPDX-License-Identifier: GPL-2.0-only
// ExactIo: fixed-size messages at the head of a connection (preface, START, answers), over any Endpoint: reads
// exactly N bytes and not one more, or writes all, under a deadline. Used by acceptor and openings on a loop's
// thread. Each call makes it the receiver of the endpoint's events; when it is done the owner takes them over.
#pragma once

#include <functional>
#include <string>

#include "io/loop.hpp"
#include "transport/endpoint.hpp"

namespace nfr::transport {

class ExactIo final : private EndpointEvents {
 public:
  enum class End { kDone, kEof, kError, kTimeout };
  /// Called once a call, never from inside it; may destroy the ExactIo after kDone. After any other end the owner
  /// sets its own events, closes the endpoint, and keeps the ExactIo until on_closed (its bytes may be in flight).
  using Done = std::function<void(End)>;

  ExactIo(io::Loop& loop, Endpoint& endpoint);

  /// `deadline` 0: none. bytes() holds them afterwards.
  void read(std::size_t count, Millis deadline, Done done);
  void write(std::span<const std::byte> bytes, Millis deadline, Done done);
  /// Both at once: done when all is written and `count` bytes are read.
  void exchange(std::span<const std::byte> bytes, std::size_t count, Millis deadline, Done done);
  /// Forgets the running call; the owner closes the endpoint.
  void abandon();

  std::span<const std::byte> bytes() const;
  int os_errno() const { return errno_; }  ///< after kError
  bool busy() const { return static_cast<bool>(done_); }

 private:
  void on_data(std::span<const std::byte> bytes) override;
  void on_eof() override { end(End::kEof); }
  void on_written() override;
  void on_finished() override {}
  void on_error(int os_errno) override;
  void on_closed() override {}

  void begin(Millis deadline, Done done);
  void begin_read(std::size_t count);
  void begin_write(std::span<const std::byte> bytes);
  void end_if_done();
  void end(End end);

  Endpoint& endpoint_;
  std::string buffer_;     // what was read
  std::string writing_;    // empty once written
  std::size_t count_ = 0;  // still to read
  int errno_ = 0;
  Done done_;
  io::Timer deadline_;
};

}  // namespace nfr::transport
