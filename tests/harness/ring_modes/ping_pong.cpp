// SPDX-License-Identifier: GPL-2.0-only
// Echo on many connections by one measured thread; the clients are another thread with epoll.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <thread>

#include "ring_modes/modes.hpp"

namespace nfr::modes {
namespace {

constexpr unsigned kBuffers = 1024;
constexpr unsigned kBufferBytes = 4096;

/// Sends a byte on each connection and again whenever it comes back.
void clients(const std::vector<Joined>& all, const std::atomic<bool>& stop) {
  const Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  char byte = 'x';
  for (const Joined& one : all) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = one.far.get()}};
    ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, one.far.get(), &event);
    (void)!::write(one.far.get(), &byte, 1);
  }
  std::array<epoll_event, 256> events{};
  while (!stop.load(std::memory_order_relaxed)) {
    const int count = ::epoll_wait(epoll.get(), events.data(), events.size(), 10);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (::read(fd, &byte, 1) == 1) (void)!::write(fd, &byte, 1);
    }
  }
}

struct Counts {
  std::uint64_t echoes = 0;
  std::uint64_t calls = 0;
};

Counts echo_epoll(const std::vector<Joined>& all, const std::atomic<bool>& stop) {
  const Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  for (const Joined& one : all) {
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.fd = one.near.get()}};
    ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, one.near.get(), &event);
  }
  Counts counts;
  std::array<epoll_event, 256> events{};
  std::array<char, kBufferBytes> buffer;
  while (!stop.load(std::memory_order_relaxed)) {
    const int count = ::epoll_wait(epoll.get(), events.data(), events.size(), 10);
    ++counts.calls;
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      const ssize_t got = ::read(fd, buffer.data(), buffer.size());
      ++counts.calls;
      if (got <= 0) continue;
      counts.calls += 1;
      if (::write(fd, buffer.data(), static_cast<std::size_t>(got)) == got) ++counts.echoes;
    }
  }
  return counts;
}

/// user_data: connection * 2, +1 for a send. The byte that is sent is the same for all: no buffer has to be kept.
class RingEcho {
 public:
  RingEcho(const Mode& mode, const std::vector<Joined>& all)
      : mode_(mode), all_(all), ring_(1024, mode.fixed ? descriptors(all) : std::vector<int>{}) {
    if (::posix_memalign(&memory_, 4096, kBuffers * sizeof(io_uring_buf)) != 0) std::exit(1);
    buffers_ = static_cast<io_uring_buf_ring*>(memory_);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(memory_);
    registration.ring_entries = kBuffers;
    if (io_uring_register_buf_ring(ring_.raw(), &registration, 0) != 0) std::exit(1);
    io_uring_buf_ring_init(buffers_);
    for (unsigned i = 0; i < kBuffers; ++i) give(static_cast<std::uint16_t>(i));
  }
  ~RingEcho() { std::free(memory_); }

  Counts run(const std::atomic<bool>& stop) {
    for (std::size_t i = 0; i < all_.size(); ++i) receive(i);
    while (!stop.load(std::memory_order_relaxed)) {
      ring_.enter();
      io_uring_cqe* event = nullptr;
      for (unsigned left = io_uring_cq_ready(ring_.raw()); left > 0 && io_uring_peek_cqe(ring_.raw(), &event) == 0;
           --left) {
        handle(*event);
        io_uring_cqe_seen(ring_.raw(), event);
      }
    }
    counts_.calls = ring_.enters();
    return counts_;
  }

 private:
  static std::vector<int> descriptors(const std::vector<Joined>& all) {
    std::vector<int> out;
    for (const Joined& one : all) out.push_back(one.near.get());
    return out;
  }
  void give(std::uint16_t index) {
    io_uring_buf_ring_add(buffers_, store_.data() + std::size_t{index} * kBufferBytes, kBufferBytes, index,
                          io_uring_buf_ring_mask(kBuffers), 0);
    io_uring_buf_ring_advance(buffers_, 1);
  }
  int name(std::size_t i) const { return mode_.fixed ? static_cast<int>(i) : all_[i].near.get(); }

  void receive(std::size_t i, bool emptied = false) {
    io_uring_sqe* entry = ring_.entry();
    if (mode_.multishot) {
      io_uring_prep_recv_multishot(entry, name(i), nullptr, 0, 0);
    } else {
      io_uring_prep_recv(entry, name(i), nullptr, kBufferBytes, 0);
    }
    entry->flags |= IOSQE_BUFFER_SELECT;
    if (mode_.fixed) entry->flags |= IOSQE_FIXED_FILE;
    if (mode_.poll_first && emptied) entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
    entry->user_data = i * 2;
  }

  void handle(const io_uring_cqe& event) {
    const std::size_t i = event.user_data / 2;
    if (event.user_data % 2 != 0) return;
    if ((event.flags & IORING_CQE_F_BUFFER) != 0)
      give(static_cast<std::uint16_t>(event.flags >> IORING_CQE_BUFFER_SHIFT));
    if (event.res > 0) {
      ++counts_.echoes;
      io_uring_sqe* entry = ring_.entry();
      io_uring_prep_send(entry, name(i), "x", 1, MSG_NOSIGNAL);
      if (mode_.fixed) entry->flags |= IOSQE_FIXED_FILE;
      entry->user_data = i * 2 + 1;
    }
    if ((event.flags & IORING_CQE_F_MORE) == 0) receive(i, (event.flags & IORING_CQE_F_SOCK_NONEMPTY) == 0);
  }

  const Mode& mode_;
  const std::vector<Joined>& all_;
  ModeRing ring_;
  void* memory_ = nullptr;
  io_uring_buf_ring* buffers_ = nullptr;
  std::vector<std::byte> store_ = std::vector<std::byte>(std::size_t{kBuffers} * kBufferBytes);
  Counts counts_;
};

}  // namespace

Outcome ping_pong(const Mode& mode, unsigned connections, std::chrono::milliseconds time) {
  std::vector<Joined> all;
  for (unsigned i = 0; i < connections; ++i) all.push_back(join());
  std::atomic<bool> stop{false};
  Counts counts;
  double cpu = 0;
  std::thread measured([&] {
    const double before = thread_cpu_us();
    counts = mode.ring ? RingEcho(mode, all).run(stop) : echo_epoll(all, stop);
    cpu = thread_cpu_us() - before;
  });
  std::thread load([&] { clients(all, stop); });
  std::this_thread::sleep_for(time);
  stop.store(true);
  measured.join();
  load.join();
  const auto echoes = static_cast<double>(std::max<std::uint64_t>(counts.echoes, 1));
  return {echoes * 1000 / static_cast<double>(time.count()), cpu / echoes, static_cast<double>(counts.calls) / echoes};
}

}  // namespace nfr::modes
