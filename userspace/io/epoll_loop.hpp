// SPDX-License-Identifier: GPL-2.0-only
// EpollLoop: Loop on epoll, for where io_uring is forbidden or broken. Made by Loop::create(). On the loop's thread,
// but for post() and stop().
//
// Descriptors are registered edge-triggered while they have operations that wait. An operation is always tried before
// it waits, and registering reports what is ready already, so no edge is missed.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <deque>
#include <vector>

#include "io/accept_policy.hpp"
#include "io/epoll_buffers.hpp"
#include "io/loop.hpp"
#include "io/mailbox.hpp"
#include "io/slots.hpp"

namespace nfr::io {

class EpollLoop final : public Loop {
 public:
  static Result<std::unique_ptr<EpollLoop>> create(const LoopOptions& options);
  /// As UringLoop's.
  ~EpollLoop() override;

  void accept(Operation& operation, int listener) override;
  void receive(Operation& operation, int socket) override;
  void receive_into(Operation& operation, int socket, std::span<std::byte> into) override;
  void send(Operation& operation, int socket, std::span<const std::byte> bytes) override;
  void connect(Operation& operation, int socket, const sockaddr_storage& to, socklen_t length) override;
  void poll(Operation& operation, int fd, short events) override;
  void watch(Operation& operation, int fd) override;
  void cancel(Operation& operation) override;

  void post(std::function<void()> work) override { mailbox_.post(std::move(work)); }
  void run() override;
  void run_once(Millis wait) override { round(wait); }
  void stop() override;
  Instant now() const override;
  Statistics statistics() const override { return {completions_, enters_}; }
  std::string_view back_end() const override { return "epoll"; }
  void explain(std::string why) { fallback_reason_ = std::move(why); }

 private:
  /// One descriptor.
  struct Watched {
    std::vector<Token> waiting;  ///< may hold stale ones
    unsigned operations = 0;     ///< outstanding, wherever they are
    std::uint32_t hang_up = 0;   ///< EPOLLERR, EPOLLHUP, EPOLLRDHUP seen since it was registered
    bool registered = false;
  };

  EpollLoop(Fd epoll, std::unique_ptr<BufferPool> buffers, Fd wake);
  void give_back(std::uint16_t index) override { buffers_->give_back(index); }

  void begin(Operation& operation, Request request);
  void round(Millis wait);
  std::chrono::nanoseconds time_to_wait(Millis wait) const;
  bool on_event(const epoll_event& event);
  void on_wake();
  void try_pending();
  void attempt(Token token);
  void wait_for(Token token);
  void leave(int fd);
  void finish(Token token, int result, Lease lease = {});
  void complete_cancelled();

  // One try each (epoll_attempts.cpp); true: the operation waits.
  bool try_accept(Token token);
  bool try_receive(Token token);
  bool try_connect(Token token);
  bool try_poll(Token token);
  bool try_watch(Token token);
  bool try_transfer(Token token);
  void accept_failed(Token token, int error);
  void resume_accepts();
  void resume_parked();

  Fd epoll_;
  std::unique_ptr<BufferPool> buffers_;
  SlotTable slots_;
  std::vector<Watched> watched_;  ///< by descriptor
  std::vector<Token> pending_;    ///< to be tried in the next round, in order; may hold stale ones
  std::vector<Token> trying_;     ///< pending_ of this round
  std::deque<Token> parked_;      ///< as UringLoop
  std::vector<Token> paused_;
  std::vector<Token> cancelled_;
  std::array<epoll_event, 256> events_{};
  Instant now_;
  bool in_round_ = false;
  std::uint64_t completions_ = 0;
  std::uint64_t enters_ = 0;

  Mailbox mailbox_;
  SpareDescriptor spare_;
  Timer accept_timer_;
  std::optional<Instant> accept_logged_;
  std::atomic<bool> stopped_{false};
};

}  // namespace nfr::io
