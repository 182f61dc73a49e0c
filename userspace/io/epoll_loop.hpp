// SPDX-License-Identifier: GPL-2.0-only
// EpollLoop: Loop on epoll, for where io_uring is forbidden or broken. Made by Loop::create(). On the loop's thread,
// but for post() and stop().
//
// Descriptors are registered edge-triggered while they have operations that wait. An operation is always tried before
// it waits, and registering reports what is ready already, so no edge is missed.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <vector>

#include "io/epoll_buffers.hpp"
#include "io/slot_loop.hpp"

namespace nfr::io {

class EpollLoop final : public SlotLoop {
 public:
  static Result<std::unique_ptr<EpollLoop>> create(const LoopOptions& options);
  /// As UringLoop's.
  ~EpollLoop() override;

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

  void await(Millis wait) override;
  void dispatch() override;
  void joined(int fd) override;
  void left(int fd) override;
  /// Nothing is in the kernel's hands, so every operation can be ended here.
  bool withdraw(Token) override { return true; }
  unsigned free_buffers() const override { return buffers_->free(); }

  Watched& watched(int fd);
  bool on_event(const epoll_event& event);
  void on_wake();
  void try_pending();
  void attempt(Token token);
  void wait_for(Token token);

  // One try each (epoll_attempts.cpp); true: the operation waits.
  bool try_accept(Token token);
  bool try_receive(Token token);
  bool try_connect(Token token);
  bool try_poll(Token token);
  bool try_watch(Token token);
  bool try_transfer(Token token);

  Fd epoll_;
  std::unique_ptr<BufferPool> buffers_;
  std::vector<Watched> watched_;  ///< by descriptor
  std::vector<Token> trying_;     ///< pending_ of this round
  std::array<epoll_event, 256> events_{};
  int event_count_ = 0;
};

}  // namespace nfr::io
