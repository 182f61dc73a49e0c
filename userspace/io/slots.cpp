// SPDX-License-Identifier: GPL-2.0-only
// Slots handed out and taken back, last freed first so that the table stays warm. Used by the back ends on their
// thread.
#include "io/slots.hpp"

#include "base/assert.hpp"

namespace nfr::io {

Token SlotTable::take(Operation& operation, Request request) {
  if (free_.empty()) {
    NFR_ASSERT(slots_.size() < 0xffff'ffffU);
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  slot.operation = &operation;
  slot.state = State::kKernel;
  slot.cancel_asked = false;
  slot.request = std::move(request);
  return token(index);
}

Operation& SlotTable::release(Token token) {
  Slot& slot = at(token);
  Operation* operation = std::exchange(slot.operation, nullptr);
  slot.generation = (slot.generation + 1) & Token::kGenerationMask;
  slot.request = {};
  free_.push_back(token.slot());
  return *operation;
}

Slot& SlotTable::at(Token token) {
  NFR_ASSERT(current(token));
  return slots_[token.slot()];
}

Slot& SlotTable::at(std::uint32_t slot) {
  NFR_ASSERT(slot < slots_.size() && slots_[slot].operation != nullptr);
  return slots_[slot];
}

bool SlotTable::current(Token token) const {
  if (token.slot() >= slots_.size()) return false;
  const Slot& slot = slots_[token.slot()];
  return slot.operation != nullptr && slot.generation == token.generation();
}

}  // namespace nfr::io
