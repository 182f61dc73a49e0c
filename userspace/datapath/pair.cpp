// SPDX-License-Identifier: GPL-2.0-only
// Pair: the state machine that moves a flow's bytes in tier user, on its loop's thread. A direction never holds more
// than the bytes of one read (64 KiB, with splice(2) 128 KiB). It does not know what kind of endpoints it joins.
#include "datapath/pair.hpp"

#include "base/assert.hpp"

namespace nfr::datapath {

using core::FlowEnd;
using transport::CloseMode;

Pair::Pair(io::Loop& loop, std::unique_ptr<transport::Endpoint> visitor, std::unique_ptr<transport::Endpoint> target,
           std::shared_ptr<core::FlowCounters> counters, Millis idle_timeout, PairEvents& events)
    : loop_(loop), counters_(std::move(counters)), idle_timeout_(idle_timeout), events_(events), idle_(loop, [this] {
        on_idle_check();
      }) {
  sides_[kVisitor].endpoint = std::move(visitor);
  sides_[kTarget].endpoint = std::move(target);
  for (Side& side : sides_) {
    side.pair = this;
    side.endpoint->set_events(&side);
  }
}

void Pair::watch_visitor() {
  NFR_ASSERT(state_ == State::kWaiting);
  sides_[kVisitor].endpoint->watch_reset();
}

void Pair::start() {
  NFR_ASSERT(state_ == State::kWaiting);
  run();
  for (Side& side : sides_) {
    side.endpoint->set_events(&side);
    side.endpoint->watch_reset();
    side.endpoint->read();
  }
}

void Pair::run() {
  state_ = State::kRunning;
  last_activity_ = loop_.now();
  if (idle_timeout_.count() > 0) idle_.arm(idle_timeout_);
}

void Pair::on_data(Side& from, std::span<const std::byte> bytes) {
  if (!moving()) return;
  NFR_ASSERT(from.direction == Direction::kReading);
  from.direction = Direction::kWriting;
  from.moving = bytes.size();
  weigh(from, bytes.size());
  last_activity_ = loop_.now();
  other(from).endpoint->write(bytes);
}

void Pair::on_written(Side& from) {
  if (!moving()) return;
  NFR_ASSERT(from.direction == Direction::kWriting);
  from.direction = Direction::kReading;
  last_activity_ = loop_.now();
  count(from, from.moving);
  from.spilled.reset();
  read_on(from);
}

void Pair::on_copied(Side& from) {
  if (!moving()) return;
  NFR_ASSERT(from.direction == Direction::kWriting);
  from.spilled.reset();
  from.endpoint->release_data();
}

void Pair::on_eof(Side& from) {
  if (!moving()) return;
  NFR_ASSERT(from.direction == Direction::kReading);
  from.direction = Direction::kFinishing;
  last_activity_ = loop_.now();
  other(from).endpoint->finish();
}

void Pair::on_finished(Side& from) {
  if (!moving()) return;
  NFR_ASSERT(from.direction == Direction::kFinishing);
  from.direction = Direction::kEnded;
  if (other(from).direction == Direction::kEnded) return end(FlowEnd::kFinished, CloseMode::kOrderly);
  rested_if_still();
}

void Pair::on_error(Side& broken, int) {
  const bool is_visitor = &broken == &sides_[kVisitor];
  end(is_visitor ? FlowEnd::kVisitorReset : FlowEnd::kAgentReset, CloseMode::kReset);
}

void Pair::cut(FlowEnd why) { end(why, CloseMode::kReset); }

void Pair::end(FlowEnd why, CloseMode mode) {
  if (state_ == State::kClosing || state_ == State::kOver) return;
  state_ = State::kClosing;
  end_ = why;
  idle_.disarm();
  for (Side& side : sides_) {
    loop_.pipes().give_back(std::move(side.pipe));
    side.endpoint->set_events(&side);
    side.endpoint->close(mode);
  }
}

void Pair::on_closed(Side& side) {
  NFR_ASSERT(state_ == State::kClosing && !side.closed);
  side.closed = true;
  if (!other(side).closed) return;
  state_ = State::kOver;
  events_.on_pair_ended(*end_);  // may destroy *this
}

bool Pair::rest() {
  NFR_ASSERT(state_ == State::kRunning);
  if (!sides_[kVisitor].endpoint->can_rest() || !sides_[kTarget].endpoint->can_rest()) return false;
  state_ = State::kResting;
  idle_.disarm();
  for (Side& side : sides_) side.endpoint->rest();
  return true;
}

void Pair::on_rested(Side& side) {
  side.rested = true;
  rested_if_still();
}

/// The end that rests first may still be told to send FIN by the other.
void Pair::rested_if_still() {
  if (state_ != State::kResting) return;
  for (const Side& side : sides_) {
    if (!side.rested || side.direction == Direction::kFinishing) return;
  }
  state_ = State::kRested;
  events_.on_pair_rested();
}

void Pair::resume() {
  NFR_ASSERT(state_ == State::kRested);
  run();
  for (Side& side : sides_) {
    side.rested = false;
    side.endpoint->resume();
  }
}

std::size_t Pair::held_from(int side) const {
  const Side& from = sides_[side];
  const Side& to = sides_[1 - side];
  return to.endpoint->unsent().size() + (from.pipe ? from.pipe->held : 0);
}

ReleasedPair::Direction Pair::release_direction(Side& from) {
  if (from.pipe) {
    spill(from);
    return {std::move(*from.spilled), false};
  }
  const auto held = other(from).endpoint->unsent();
  if (from.direction == Direction::kWriting) count(from, from.moving - held.size());
  return {{held.begin(), held.end()}, from.direction == Direction::kEnded};
}

ReleasedPair Pair::release() {
  NFR_ASSERT(state_ == State::kRested);
  state_ = State::kOver;
  ReleasedPair released;
  released.to_target = release_direction(sides_[kVisitor]);
  released.to_visitor = release_direction(sides_[kTarget]);
  released.visitor = sides_[kVisitor].endpoint->release();
  released.target = sides_[kTarget].endpoint->release();
  return released;
}

void Pair::count(const Side& from, std::size_t bytes) {
  auto& counter = &from == &sides_[kVisitor] ? counters_->in_bytes : counters_->out_bytes;
  counter.fetch_add(bytes, std::memory_order_relaxed);
}

void Pair::on_idle_check() {
  const auto idle = std::chrono::duration_cast<Millis>(loop_.now() - last_activity_);
  if (idle >= idle_timeout_) return end(FlowEnd::kIdle, CloseMode::kReset);
  idle_.arm(idle_timeout_ - idle);
}

}  // namespace nfr::datapath
