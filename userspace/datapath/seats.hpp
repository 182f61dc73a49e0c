// SPDX-License-Identifier: GPL-2.0-only
// Seats: how many visitors all data threads together may hold, so that descriptors never run out. Thread-safe; the
// number is policy's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace nfr::datapath {

class Seats {
 public:
  /// Fewer than are taken: nobody is sent away, nobody is let in until that many have left.
  void set_max(std::size_t count) { max_.store(count, std::memory_order_relaxed); }
  std::size_t taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  friend class Seat;
  bool take() {
    std::size_t taken = taken_.load(std::memory_order_relaxed);
    do {
      if (taken >= max_.load(std::memory_order_relaxed)) return false;
    } while (!taken_.compare_exchange_weak(taken, taken + 1, std::memory_order_relaxed));
    return true;
  }
  void give_back() { taken_.fetch_sub(1, std::memory_order_relaxed); }

  std::atomic<std::size_t> max_{SIZE_MAX};
  std::atomic<std::size_t> taken_{0};
};

/// One place; goes back on destruction. Move-only.
class Seat {
 public:
  Seat() = default;
  /// Not taken() when all are.
  explicit Seat(std::shared_ptr<Seats> seats) : seats_(seats->take() ? std::move(seats) : nullptr) {}
  Seat(Seat&& other) noexcept : seats_(std::exchange(other.seats_, nullptr)) {}
  Seat& operator=(Seat&& other) noexcept {
    std::swap(seats_, other.seats_);
    return *this;
  }
  ~Seat() {
    if (seats_) seats_->give_back();
  }
  bool taken() const { return seats_ != nullptr; }

 private:
  std::shared_ptr<Seats> seats_;
};

}  // namespace nfr::datapath
