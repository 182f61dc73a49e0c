// SPDX-License-Identifier: GPL-2.0-only
// The completion-shaped event loop: one a thread, single issuer. Operations are submitted, batched, and complete
// later from run(), never from inside the submitting call. Two back ends: io_uring (io/uring_*, the only files that
// see liburing), and epoll (io/epoll_*) for kernels and sandboxes that forbid it.
// Everything here but post() and stop() is called on the loop's own thread.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.hpp"
#include "base/descriptors.hpp"
#include "base/io_choice.hpp"
#include "base/result.hpp"
#include "io/pipes.hpp"

namespace nfr::io {

class Loop;

/// A receive buffer lent by the loop; goes back on destruction (on the loop's thread). Move-only.
class Lease {
 public:
  Lease() = default;
  Lease(Loop* loop, std::uint16_t index, std::span<const std::byte> bytes)
      : loop_(loop), index_(index), bytes_(bytes) {}
  Lease(Lease&& other) noexcept { *this = std::move(other); }
  Lease& operator=(Lease&& other) noexcept;
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() { release(); }
  std::span<const std::byte> bytes() const { return bytes_; }
  void release();

 private:
  Loop* loop_ = nullptr;
  std::uint16_t index_ = 0;
  std::span<const std::byte> bytes_;
};

/// What became of an operation.
struct Completion {
  int result = 0;     ///< bytes, descriptor, poll mask; or -errno
  bool more = false;  ///< multishot accept: further completions follow
  Lease lease;        ///< receive(): the bytes; empty at EOF and on error
};

/// One outstanding request. Lives in the object that handles it and must outlive its completion: an owner
/// cancels, waits for complete(), then dies (asserted in the destructor).
class Operation {
 public:
  Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  virtual ~Operation();
  /// Called from run(). For multishot operations in_flight() stays true while completion.more.
  /// The operation may be submitted again, or its owner destroyed, from inside.
  virtual void complete(Completion completion) = 0;
  bool in_flight() const { return slot_ != kNoSlot; }

 private:
  friend class Loop;
  static constexpr std::uint32_t kNoSlot = ~std::uint32_t{0};
  std::uint32_t slot_ = kNoSlot;
};

/// An operation that calls a function; for the control path. The function may destroy the operation.
class CallbackOperation final : public Operation {
 public:
  std::function<void(Completion)> handler;
  void complete(Completion completion) override {
    auto call = handler;  // a copy: the call may destroy *this
    call(std::move(completion));
  }
};

/// Fires once after arm(); disarms itself on destruction. Milliseconds, monotonic.
class Timer {
 public:
  explicit Timer(Loop& loop, std::function<void()> on_fire = {}) : loop_(loop), handler(std::move(on_fire)) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { disarm(); }
  void arm(Millis after);  ///< replaces an earlier deadline
  void disarm();
  bool armed() const { return place_.has_value(); }

 private:
  friend class Loop;
  Loop& loop_;
  std::optional<std::multimap<Instant, Timer*>::iterator> place_;

 public:
  std::function<void()> handler;
};

/// A number that its loop's thread changes and any thread reads.
class Gauge {
 public:
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  void increment() { set(value() + 1); }
  void decrement() { set(value() - 1); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct LoopOptions {
  unsigned entries = 1024;                 ///< submission ring; power of two
  std::uint16_t buffer_count = 256;        ///< provided buffers; power of two, at most 32768
  std::uint32_t buffer_bytes = 64 * 1024;  ///< of each
  IoChoice choice = IoChoice::kAuto;       ///< kAuto: io_uring, or epoll where a ring cannot be made
};

class Loop {
 public:
  /// kSystem with the reason when the back end that was asked for, or every one, is forbidden.
  static Result<std::unique_ptr<Loop>> create(const LoopOptions& options);
  virtual ~Loop() = default;

  /// Multishot: result is a new non-blocking, close-on-exec descriptor each time. Ends with more == false.
  virtual void accept(Operation& operation, int listener) = 0;
  /// A provided buffer is taken when bytes arrive, so an idle receive holds none. When all are lent out the
  /// receive waits inside the loop until one returns (back-pressure), it does not fail.
  virtual void receive(Operation& operation, int socket) = 0;
  /// Into the caller's memory, which must stay valid until completion. May be short.
  virtual void receive_into(Operation& operation, int socket, std::span<std::byte> into) = 0;
  /// May be short. Bytes must stay valid until completion. Never raises SIGPIPE.
  virtual void send(Operation& operation, int socket, std::span<const std::byte> bytes) = 0;
  /// The address is copied.
  virtual void connect(Operation& operation, int socket, const sockaddr_storage& to, socklen_t length) = 0;
  /// One-shot; POLLERR and POLLHUP are always reported, so events may be 0.
  virtual void poll(Operation& operation, int fd, short events) = 0;
  /// Multishot: a poll mask each time POLLERR, POLLHUP or POLLRDHUP comes up (io_uring always reports the last, so a
  /// one-shot poll cannot wait for an RST behind a FIN). Ends with more == false.
  virtual void watch(Operation& operation, int fd) = 0;
  /// Asks for an early end; the operation still completes (with -ECANCELED or its real result). Idle: no effect.
  virtual void cancel(Operation& operation) = 0;

  /// Runs `work` on the loop's thread soon. Thread-safe; after stop() the work is dropped at destruction.
  virtual void post(std::function<void()> work) = 0;
  /// Until stop(). Must be called on the thread that owns the loop from then on.
  virtual void run() = 0;
  /// One round: submits, waits at most `wait`, dispatches. For tests and for draining.
  virtual void run_once(Millis wait) = 0;
  /// Makes run() return; thread-safe.
  virtual void stop() = 0;
  virtual Instant now() const = 0;  ///< cached at the last wake-up
  /// For splice(2), which a loop does not do: its caller calls it, and polls.
  PipePool& pipes() { return pipes_; }

  /// Since creation. Thread-safe; the three are read one after the other.
  struct Statistics {
    std::uint64_t completions = 0;  ///< handled
    std::uint64_t enters = 0;       ///< io_uring_enter or epoll_wait calls; epoll's tries are further calls
    std::uint64_t outstanding = 0;  ///< operations whose last completion is still to come
  };
  Statistics statistics() const { return {completions_.value(), enters_.value(), outstanding_.value()}; }

  /// "io_uring" or "epoll".
  virtual std::string_view back_end() const = 0;
  /// Why io_uring is not used though kAuto asked for it; empty otherwise.
  const std::string& fallback_reason() const { return fallback_reason_; }

 protected:
  friend class Lease;
  friend class Timer;
  virtual void give_back(std::uint16_t index) = 0;
  std::multimap<Instant, Timer*> timers_;
  std::string fallback_reason_;
  PipePool pipes_{PipePool::count_for(descriptor_limit())};
  Gauge completions_;
  Gauge enters_;
  Gauge outstanding_;

  static std::uint32_t slot_of(const Operation& operation) { return operation.slot_; }
  static void set_slot(Operation& operation, std::uint32_t slot) { operation.slot_ = slot; }
  static void clear_slot(Operation& operation) { operation.slot_ = Operation::kNoSlot; }
  void fire_timers(Instant now);
  void forget_timers();
  /// From now to the first timer, at most `limit`, at least 0.
  std::chrono::nanoseconds time_to_timer(std::chrono::nanoseconds limit) const;
};

}  // namespace nfr::io
