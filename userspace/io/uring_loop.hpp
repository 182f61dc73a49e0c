// SPDX-License-Identifier: GPL-2.0-only
// UringLoop: the io_uring back end of Loop. Made by Loop::create(); nobody else names it but tests.
// On the loop's thread, but for post() and stop(). Needs Linux 6.1.
#pragma once

#include "io/slot_loop.hpp"
#include "io/uring_buffers.hpp"
#include "io/uring_ring.hpp"

namespace nfr::io {

class UringLoop final : public SlotLoop {
 public:
  static Result<std::unique_ptr<UringLoop>> create(const LoopOptions& options, std::span<const unsigned> flag_sets);
  /// Operations still in flight are forgotten without completing, posted work is dropped, timers are disarmed.
  /// No lease may be out (asserted): it would point into unmapped memory.
  ~UringLoop() override;

  std::string_view back_end() const override { return "io_uring"; }

  unsigned setup_flags() const { return ring_->setup_flags(); }

 private:
  UringLoop(std::unique_ptr<Ring> ring, std::unique_ptr<ProvidedBuffers> buffers, Fd wake);
  void give_back(std::uint16_t index) override { buffers_->give_back(index); }

  // SlotLoop (uring_loop.cpp but for dispatch)
  void await(Millis wait) override;
  void dispatch() override;
  bool withdraw(Token token) override;
  unsigned free_buffers() const override { return buffers_->free(); }

  // Submission (uring_loop.cpp): everything goes through pending_, so that order holds and a round enters once.
  void fill_submissions();
  void prepare(io_uring_sqe& entry, Token token);

  // What a completion leads to (uring_dispatch.cpp).
  void handle(const RingEvent& event);
  void on_cancel_answer(Token token, int result);
  void on_wake();
  void on_operation(Token token, RingEvent event);
  void on_accept(Token token, const RingEvent& event);
  void on_receive(Token token, const RingEvent& event);
  void on_watch(Token token, const RingEvent& event);

  void drain_kernel();

  std::unique_ptr<Ring> ring_;
  std::unique_ptr<ProvidedBuffers> buffers_;
  std::size_t kernel_count_ = 0;  ///< entries given to the kernel whose last completion is still to come
  std::uint64_t wake_value_ = 0;  ///< where the kernel puts the eventfd's count
};

}  // namespace nfr::io
