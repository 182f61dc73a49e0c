// SPDX-License-Identifier: GPL-2.0-only
// Pair's way of moving bytes without copying them: splice(2) from one socket into a pipe and out of it into the other,
// called inline, since io_uring would hand it to a worker thread. A pipe is held only while bytes wait in it.
#include <algorithm>

#include "base/assert.hpp"
#include "datapath/pair.hpp"

namespace nfr::datapath {
namespace {

constexpr std::size_t kLarge = 16 * 1024;  // a piece that is worth two calls more than copying takes
constexpr std::uint8_t kLargeMax = 64;
constexpr std::uint8_t kPatienceMax = 64;
constexpr int kTurn = 4;  // pieces of one direction before the others have their turn

}  // namespace

void Pair::weigh(Side& from, std::size_t bytes) {
  const bool large = bytes >= kLarge;
  from.large =
      large ? std::min<std::uint8_t>(from.large + 1, kLargeMax) : from.large - std::min<std::uint8_t>(from.large, 2);
}

/// A direction's last bytes are on their way: the next ones, by copying or by splicing.
void Pair::read_on(Side& from) {
  const bool can = from.endpoint->can_splice() && other(from).endpoint->can_splice();
  from.splicing = can && (from.splicing ? from.large > 0 : from.large >= from.patience);
  from.splicing ? from.endpoint->await_readable() : from.endpoint->read();
}

/// Until it is tried again.
void Pair::wait_longer(Side& from) { from.patience = std::min<std::uint8_t>(from.patience * 2, kPatienceMax); }

void Pair::stop_splicing(Side& from) {
  loop_.pipes().give_back(std::move(from.pipe));
  from.splicing = false;
  from.large = 0;
}

void Pair::on_readable(Side& from) {
  if (!moving()) return;
  NFR_ASSERT(from.direction == Direction::kReading);
  if (state_ == State::kResting) return from.endpoint->await_readable();  // remembered
  for (int turn = 0; turn < kTurn; ++turn) {
    if (!fill(from, turn == 0)) return;
    if (!empty(from)) return;
  }
  loop_.pipes().give_back(std::move(from.pipe));
  read_on(from);
}

/// False: nothing was there, and the next event is asked for. Where the poll said that there is something and splice(2)
/// says that there is not (an urgent byte, which only a receive steps over), bytes are copied.
bool Pair::fill(Side& from, bool first) {
  if (!from.pipe) from.pipe = loop_.pipes().lend();
  if (!from.pipe) wait_longer(from);
  const auto got = from.pipe ? from.endpoint->splice_to(*from.pipe) : std::nullopt;
  if (!got || (*got == 0 && first)) {
    stop_splicing(from);
    from.endpoint->read();
    return false;
  }
  if (*got == 0) {
    loop_.pipes().give_back(std::move(from.pipe));
    read_on(from);
    return false;
  }
  weigh(from, *got);
  last_activity_ = loop_.now();
  return true;
}

/// False: the other side takes no more now, and the next event is asked for.
bool Pair::empty(Side& from) {
  from.direction = Direction::kWriting;
  from.moving = 0;
  const std::size_t before = from.pipe->held;
  const bool can = other(from).endpoint->splice_from(*from.pipe);
  count(from, before - from.pipe->held);
  if (from.pipe->held < before) last_activity_ = loop_.now();
  if (from.pipe->held == 0) {
    from.direction = Direction::kReading;
    return true;
  }
  if (can) {
    other(from).endpoint->await_writable();
    return false;
  }
  on_stuck(from);
  return false;
}

void Pair::on_writable(Side& from) {
  if (!moving()) return;
  NFR_ASSERT(from.direction == Direction::kWriting && from.pipe);
  if (state_ == State::kResting) return other(from).endpoint->await_writable();  // remembered
  if (!empty(from)) return;
  loop_.pipes().give_back(std::move(from.pipe));
  read_on(from);
}

/// What waits in a pipe goes on as ordinary bytes: there are few pipes, and many may be stuck.
void Pair::on_stuck(Side& from) {
  if (!moving()) return;
  NFR_ASSERT(from.direction == Direction::kWriting && from.pipe);
  spill(from);
  wait_longer(from);
  from.moving = from.spilled->size();
  other(from).endpoint->write(*from.spilled);
}

void Pair::spill(Side& from) {
  from.spilled = std::make_unique<std::vector<std::byte>>(from.pipe->drain());
  stop_splicing(from);
}

}  // namespace nfr::datapath
