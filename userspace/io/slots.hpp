// SPDX-License-Identifier: GPL-2.0-only
// SlotTable: what is outstanding, and the 64-bit tokens by which the back end names it. A token carries slot and
// generation, so that a late completion can never be taken for the slot's next user's.
// Used by the back ends on their thread. Does not talk to the kernel.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "io/loop.hpp"

namespace nfr::io {

/// Who a completion is for. The two top bits of a token.
enum class Tag : std::uint8_t { kOperation = 0, kCancel = 1, kWake = 2 };

/// tag:2 generation:30 slot:32, as user_data.
class Token {
 public:
  constexpr Token() = default;
  explicit constexpr Token(std::uint64_t user_data) : bits_(user_data) {}
  constexpr Token(Tag tag, std::uint32_t slot, std::uint32_t generation)
      : bits_(std::uint64_t{static_cast<std::uint8_t>(tag)} << 62 | std::uint64_t{generation} << 32 | slot) {}
  std::uint64_t user_data() const { return bits_; }
  Tag tag() const { return static_cast<Tag>(bits_ >> 62); }
  std::uint32_t slot() const { return static_cast<std::uint32_t>(bits_); }
  std::uint32_t generation() const { return static_cast<std::uint32_t>(bits_ >> 32) & kGenerationMask; }
  Token as(Tag tag) const { return {tag, slot(), generation()}; }

  static constexpr std::uint32_t kGenerationMask = (1U << 30) - 1;

 private:
  std::uint64_t bits_ = 0;
};

enum class Kind : std::uint8_t { kAccept, kReceive, kReceiveInto, kSend, kConnect, kPoll, kWatch };

/// Where an operation is.
enum class State : std::uint8_t {
  kKernel,     ///< queued for the kernel, or it waits there
  kParked,     ///< a receive waiting for a buffer
  kPaused,     ///< an accept waiting for descriptors
  kCancelled,  ///< not in the kernel; completes with -ECANCELED in this or the next round
};

/// What the operation asked for; kept whole because a parked or ended request is submitted again.
struct Request {
  Kind kind = Kind::kPoll;
  int fd = -1;
  std::byte* bytes = nullptr;  ///< receive_into, send (never written through for send)
  std::size_t size = 0;
  short events = 0;
  socklen_t address_length = 0;
  std::unique_ptr<sockaddr_storage> address = nullptr;  ///< connect
};

struct Slot {
  Operation* operation = nullptr;  ///< null: free
  std::uint32_t generation = 0;
  State state = State::kKernel;
  bool cancel_asked = false;
  Request request;
};

class SlotTable {
 public:
  /// A free slot, or a new one: the table grows to the largest number ever outstanding.
  Token take(Operation& operation, Request request);
  /// Ends the token's validity; the operation is no longer known here.
  Operation& release(Token token);

  /// The slot a token names; asserts that the token is the current one.
  Slot& at(Token token);
  Slot& at(std::uint32_t slot);
  /// Whether the token still names its operation; for lists that are cleaned lazily.
  bool current(Token token) const;
  Token token(std::uint32_t slot, Tag tag = Tag::kOperation) const { return {tag, slot, slots_[slot].generation}; }

  std::vector<Slot>& all() { return slots_; }

 private:
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace nfr::io
