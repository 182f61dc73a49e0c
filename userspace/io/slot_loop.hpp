// SPDX-License-Identifier: GPL-2.0-only
// SlotLoop: what the back ends of the loop share: the face, a slot an operation, receives that wait for a buffer,
// accepts that wait for descriptors, cancelled operations, the frame of a round. A back end says how an operation is
// tried and how it is awaited. On the loop's thread, but for post() and stop().
#pragma once

#include <atomic>
#include <deque>
#include <vector>

#include "io/accept_policy.hpp"
#include "io/loop.hpp"
#include "io/mailbox.hpp"
#include "io/slots.hpp"

namespace nfr::io {

class SlotLoop : public Loop {
 public:
  void accept(Operation& operation, int listener) final;
  void receive(Operation& operation, int socket) final;
  void receive_into(Operation& operation, int socket, std::span<std::byte> into) final;
  void send(Operation& operation, int socket, std::span<const std::byte> bytes) final;
  void connect(Operation& operation, int socket, const sockaddr_storage& to, socklen_t length) final;
  void poll(Operation& operation, int fd, short events) final;
  void watch(Operation& operation, int fd) final;
  void cancel(Operation& operation) final;

  void post(std::function<void()> work) final { mailbox_.post(std::move(work)); }
  void run() final;
  void run_once(Millis wait) final { round(wait); }
  void stop() final;
  Instant now() const final;

 protected:
  /// `wake`: an eventfd; the back end notices it and calls on_wake() after reading it.
  explicit SlotLoop(Fd wake);

  // What a back end does.
  virtual void await(Millis wait) = 0;  ///< hands over pending_ and waits for events, time_to_wait(wait) at most
  virtual void dispatch() = 0;          ///< handles what await() found
  virtual void joined(int /*fd*/) {}    ///< one operation more on this descriptor
  virtual void left(int /*fd*/) {}      ///< one less; before its owner hears of it
  /// Takes an operation back from where it waits. False: only asked for, its completion will tell.
  virtual bool withdraw(Token token) = 0;
  virtual unsigned free_buffers() const = 0;

  // What a back end calls.
  std::chrono::nanoseconds time_to_wait(Millis wait) const;
  void run_posted();
  void accepted(Token token, int socket);
  void accept_failed(Token token, int error);
  void park(Token token);
  void resubmit(Token token);
  /// Completes, and goes on: a watch's event, an accepted connection.
  void report(Token token, int result);
  void finish(Token token, int result, Lease lease = {});
  /// First thing in a back end's destructor: no operation, timer or posted work is left afterwards.
  void forget_everything();

  SlotTable slots_;
  std::vector<Token> pending_;  ///< to be handed over in the next round, in order
  Instant now_;
  Mailbox mailbox_;

 private:
  void round(Millis wait);
  void begin(Operation& operation, Request request);
  void pause_accept(Token token, int error);
  void resume_accepts();
  void resume_parked();
  void complete_cancelled();

  std::deque<Token> parked_;        ///< receives waiting for a buffer; may hold stale tokens
  std::vector<Token> paused_;       ///< accepts waiting for descriptors; may hold stale tokens
  std::vector<Token> cancelled_;    ///< cancelled while not in the kernel
  std::vector<Token> being_ended_;  ///< cancelled_ of this round; kept for its memory
  bool in_round_ = false;
  SpareDescriptor spare_;
  Timer accept_timer_;
  std::optional<Instant> accept_logged_;
  std::atomic<bool> stopped_{false};
};

}  // namespace nfr::io
