// SPDX-License-Identifier: GPL-2.0-only
// ChaosLoop: a loop whose completions come in an order that the seed draws, with short sends and receives, cancels that
// lose the race against the real result, and, if asked, calls that fail. Real sockets; for tests of what runs on a
// loop.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <random>
#include <vector>

#include "io/epoll_buffers.hpp"
#include "io/slot_loop.hpp"

namespace nfr::test {

class ChaosLoop final : public io::SlotLoop {
 public:
  /// Of a thousand sends and receives `faults` fail.
  static std::unique_ptr<ChaosLoop> create(const io::LoopOptions& options, unsigned seed, unsigned faults = 0) {
    auto buffers = io::BufferPool::create(options.buffer_count, options.buffer_bytes);
    return std::unique_ptr<ChaosLoop>(
        new ChaosLoop(*io::Mailbox::make_eventfd(EFD_NONBLOCK), std::move(*buffers), seed, faults));
  }
  ~ChaosLoop() override { forget_everything(); }

  std::string_view back_end() const override { return "chaos"; }
  unsigned fault_count() const { return fault_count_; }

 private:
  using Token = io::Token;
  using Kind = io::Kind;

  ChaosLoop(Fd wake, std::unique_ptr<io::BufferPool> buffers, unsigned seed, unsigned faults)
      : SlotLoop(std::move(wake)), buffers_(std::move(buffers)), random_(seed), faults_(faults) {}

  void give_back(std::uint16_t index) override { buffers_->give_back(index); }
  unsigned free_buffers() const override { return buffers_->free(); }
  bool withdraw(Token) override { return chance(2); }

  bool chance(unsigned one_of) { return random_() % one_of == 0; }

  static short events_of(const io::Request& request) {
    switch (request.kind) {
      case Kind::kAccept:
      case Kind::kReceive:
      case Kind::kReceiveInto: return POLLIN;
      case Kind::kSend:
      case Kind::kConnect: return POLLOUT;
      case Kind::kPoll: return request.events;
      case Kind::kWatch: return POLLRDHUP;
    }
    return 0;
  }

  void await(Millis wait) override {
    waiting_.insert(waiting_.end(), pending_.begin(), pending_.end());
    pending_.clear();
    std::erase_if(waiting_, [this](Token token) { return !mine(token); });
    polled_.assign(1, {mailbox_.fd(), POLLIN, 0});
    bool ending = false;
    for (const Token token : waiting_) {
      const io::Slot& slot = slots_.at(token);
      ending |= slot.cancel_asked || (slot.request.kind == Kind::kConnect && slot.request.address != nullptr);
      polled_.push_back({slot.request.fd, events_of(slot.request), 0});
    }
    const auto limit = ending ? Millis(0) : std::chrono::ceil<Millis>(time_to_wait(wait));
    (void)::poll(polled_.data(), polled_.size(), static_cast<int>(limit.count()));
  }

  bool mine(Token token) { return slots_.current(token) && slots_.at(token).state == io::State::kKernel; }

  void dispatch() override {
    if (polled_[0].revents != 0) {
      std::uint64_t ignored = 0;
      (void)!::read(mailbox_.fd(), &ignored, sizeof ignored);
      run_posted();
    }
    std::vector<std::pair<Token, short>> ready;
    for (std::size_t i = 0; i < waiting_.size(); ++i) ready.emplace_back(waiting_[i], polled_[i + 1].revents);
    std::ranges::shuffle(ready, random_);
    for (const auto& [token, revents] : ready) {
      if (!mine(token)) continue;
      if (slots_.at(token).cancel_asked && chance(2)) {
        leave(token);
        finish(token, -ECANCELED);
      } else if ((revents != 0 || slots_.at(token).request.address != nullptr) && chance(2)) {
        attempt(token, revents);
      }
    }
  }

  void leave(Token token) {
    std::erase_if(waiting_, [token](Token other) { return other.user_data() == token.user_data(); });
  }
  void end(Token token, long result, io::Lease lease = {}) {
    leave(token);
    finish(token, static_cast<int>(result), std::move(lease));
  }

  void attempt(Token token, short revents) {
    switch (slots_.at(token).request.kind) {
      case Kind::kAccept: return try_accept(token);
      case Kind::kReceive: return try_receive(token);
      case Kind::kReceiveInto:
      case Kind::kSend: return try_transfer(token);
      case Kind::kConnect: return try_connect(token);
      case Kind::kPoll: return end(token, revents);
      case Kind::kWatch: return try_watch(token, revents);
    }
  }

  void try_accept(Token token) {
    const int socket = ::accept4(slots_.at(token).request.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) return report(token, socket);
    if (errno == EAGAIN) return;
    leave(token);
    accept_failed(token, errno);
  }

  std::size_t some_of(std::size_t size) { return chance(3) ? size : 1 + random_() % std::min<std::size_t>(size, 5000); }

  bool fails(Token token) {
    if (faults_ == 0 || random_() % 1000 >= faults_) return false;
    static constexpr std::array kErrors = {ENOMEM, ENOBUFS, ECONNRESET, ETIMEDOUT, EHOSTUNREACH};
    ++fault_count_;
    end(token, -kErrors[random_() % kErrors.size()]);
    return true;
  }

  void try_receive(Token token) {
    if (buffers_->free() == 0) return leave(token), park(token);
    if (fails(token)) return;
    const std::uint16_t index = buffers_->take();
    const auto buffer = buffers_->at(index);
    const long got = ::recv(slots_.at(token).request.fd, buffer.data(), some_of(buffer.size()), MSG_DONTWAIT);
    const int error = errno;
    if (got > 0) return end(token, got, io::Lease(this, index, buffer.first(static_cast<std::size_t>(got))));
    buffers_->give_back(index);
    if (got == 0 || error != EAGAIN) end(token, got == 0 ? 0 : -error);
  }

  void try_transfer(Token token) {
    if (fails(token)) return;
    const io::Request& request = slots_.at(token).request;
    const long moved = request.kind == Kind::kSend
                           ? ::send(request.fd, request.bytes, some_of(request.size), MSG_DONTWAIT | MSG_NOSIGNAL)
                           : ::recv(request.fd, request.bytes, some_of(request.size), MSG_DONTWAIT);
    if (moved >= 0 || errno != EAGAIN) end(token, moved >= 0 ? moved : -errno);
  }

  void try_connect(Token token) {
    io::Request& request = slots_.at(token).request;
    if (const auto address = std::move(request.address)) {
      const int rc = ::connect(request.fd, reinterpret_cast<const sockaddr*>(address.get()), request.address_length);
      if (rc == 0 || errno != EINPROGRESS) end(token, rc == 0 ? 0 : -errno);
      return;
    }
    int error = 0;
    socklen_t length = sizeof error;
    (void)::getsockopt(request.fd, SOL_SOCKET, SO_ERROR, &error, &length);
    end(token, -error);
  }

  void try_watch(Token token, short revents) {
    io::Request& request = slots_.at(token).request;
    const auto all = static_cast<short>(request.events | (revents & (POLLERR | POLLHUP | POLLRDHUP)));
    if (all == request.events) return;
    request.events = all;
    report(token, all);
  }

  std::unique_ptr<io::BufferPool> buffers_;
  std::mt19937 random_;
  const unsigned faults_;
  unsigned fault_count_ = 0;
  std::vector<Token> waiting_;
  std::vector<pollfd> polled_;
};

}  // namespace nfr::test
