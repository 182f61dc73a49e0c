// SPDX-License-Identifier: GPL-2.0-only
// UringLoop: the io_uring back end of Loop. Made by Loop::create(); nobody else names it but tests.
// On the loop's thread, but for post() and stop(). Needs Linux 6.1.
#pragma once

#include <atomic>
#include <deque>
#include <vector>

#include "io/accept_policy.hpp"
#include "io/loop.hpp"
#include "io/mailbox.hpp"
#include "io/slots.hpp"
#include "io/uring_buffers.hpp"
#include "io/uring_ring.hpp"

namespace nfr::io {

class UringLoop final : public Loop {
 public:
  static Result<std::unique_ptr<UringLoop>> create(const LoopOptions& options, std::span<const unsigned> flag_sets);
  /// Operations still in flight are forgotten without completing, posted work is dropped, timers are disarmed.
  /// No lease may be out (asserted): it would point into unmapped memory.
  ~UringLoop() override;

  void accept(Operation& operation, int listener) override;
  void receive(Operation& operation, int socket) override;
  void receive_into(Operation& operation, int socket, std::span<std::byte> into) override;
  void send(Operation& operation, int socket, std::span<const std::byte> bytes) override;
  void connect(Operation& operation, int socket, const sockaddr_storage& to, socklen_t length) override;
  void poll(Operation& operation, int fd, short events) override;
  void watch(Operation& operation, int fd) override;
  void cancel(Operation& operation) override;

  void post(std::function<void()> work) override;
  void run() override;
  void run_once(Millis wait) override;
  void stop() override;
  Instant now() const override;
  Statistics statistics() const override;
  std::string_view back_end() const override { return "io_uring"; }

  unsigned setup_flags() const { return ring_->setup_flags(); }

 private:
  UringLoop(std::unique_ptr<Ring> ring, std::unique_ptr<ProvidedBuffers> buffers, Fd wake);
  void give_back(std::uint16_t index) override { buffers_->give_back(index); }

  // Submission (uring_loop.cpp): everything goes through pending_, so that order holds and a round enters once.
  void begin(Operation& operation, Request request);
  void fill_submissions();
  void prepare(io_uring_sqe& entry, Token token);
  void resume_parked();
  std::chrono::nanoseconds time_to_wait(Millis wait) const;

  // One round and what came of it (uring_dispatch.cpp).
  void round(Millis wait);
  void dispatch(const RingEvent& event);
  void on_cancel_answer(Token token, int result);
  void on_wake();
  void on_operation(Token token, RingEvent event);
  void on_accept(Token token, const RingEvent& event);
  void on_receive(Token token, const RingEvent& event);
  void on_watch(Token token, const RingEvent& event);
  void accept_failed(Token token, int error);
  void pause_accept(Token token, int error);
  void resume_accepts();
  void resubmit(Token token);
  void finish(Token token, int result, Lease lease = {});
  void complete_cancelled();

  // Destruction (uring_loop.cpp).
  void forget_operations();
  void drain_kernel();

  std::unique_ptr<Ring> ring_;
  std::unique_ptr<ProvidedBuffers> buffers_;
  SlotTable slots_;
  std::vector<Token> pending_;    ///< to be handed to the kernel, in order
  std::deque<Token> parked_;      ///< receives waiting for a buffer; may hold stale tokens
  std::vector<Token> paused_;     ///< accepts waiting for descriptors; may hold stale tokens
  std::vector<Token> cancelled_;  ///< cancelled while outside the kernel
  std::size_t kernel_count_ = 0;  ///< entries given to the kernel whose last completion is still to come
  Instant now_;
  bool in_round_ = false;
  std::uint64_t completions_ = 0;

  Mailbox mailbox_;
  std::uint64_t wake_value_ = 0;  ///< where the kernel puts the eventfd's count
  SpareDescriptor spare_;
  Timer accept_timer_;
  std::optional<Instant> accept_logged_;

  std::atomic<bool> stopped_{false};
};

}  // namespace nfr::io
