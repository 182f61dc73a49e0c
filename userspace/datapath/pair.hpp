// SPDX-License-Identifier: GPL-2.0-only
// Pair: joins two endpoints so that each gets exactly the other's bytes, half-close and resets included, and ends
// as one: in order only when both directions ended in order, else both sides see RST. Used by the openings of relay
// and agent on their loop's thread. Decides no policy but the idle timeout it is given.
//
// States of a pair:       kWaiting -start-> kRunning -both directions kEnded / error / idle / cut-> kClosing -> kOver
//                         kRunning -rest-> kResting -both ends at rest-> kRested -resume-> kRunning, or -release->
//                         kOver (kResting and kRested end like kRunning)
// States of a direction:  kReading -data-> kWriting -written-> kReading; kReading -EOF-> kFinishing -FIN queued->
// kEnded
//
// A direction whose reads are large goes over to splice(2): the same states, kReading until the source is readable,
// kWriting while bytes wait in a pipe for the other side. It goes back when the pieces become small, when the other
// side is stuck, or when no pipe is to be had.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/fd.hpp"
#include "core/nouns.hpp"
#include "core/seams.hpp"
#include "io/loop.hpp"
#include "transport/endpoint.hpp"

namespace nfr::datapath {

class PairEvents {
 public:
  virtual ~PairEvents() = default;
  /// Once, when both endpoints are closed; the pair may be destroyed inside.
  virtual void on_pair_ended(core::FlowEnd end) = 0;
  /// After rest(), unless the pair ends first. It may be resumed or released inside.
  virtual void on_pair_rested() {}
};

/// A pair whose bytes somebody else moves from now on.
struct ReleasedPair {
  struct Direction {
    std::vector<std::byte> held;  ///< read from one side and not sent to the other; 128 KiB at most
    bool ended = false;           ///< FIN was read and passed on
  };
  Fd visitor;  ///< both still with SO_LINGER {1,0}, non-blocking
  Fd target;
  Direction to_target;
  Direction to_visitor;
};

class Pair {
 public:
  /// `visitor`: the side whose bytes count as in_bytes; on the agent that is the channel. Takes over the events of
  /// both endpoints. `idle_timeout` 0: never.
  Pair(io::Loop& loop, std::unique_ptr<transport::Endpoint> visitor, std::unique_ptr<transport::Endpoint> target,
       std::shared_ptr<core::FlowCounters> counters, Millis idle_timeout, PairEvents& events);

  /// Before start(): notices when the visitor resets (the pair then ends with kVisitorReset).
  void watch_visitor();
  /// Begins to copy. Takes the events of both endpoints (again).
  void start();
  /// Resets both now; on_pair_ended follows. Later calls have no effect.
  void cut(core::FlowEnd why);

  /// Stops a running pair without losing a byte: when on_pair_rested comes no request is in flight, and the bytes held
  /// are a known number that does not change. False, and no effect: one of its ends cannot rest (TLS).
  bool rest();
  void resume();  ///< only after on_pair_rested
  /// Of a rested pair: bytes read from the visitor (from the target) and not yet sent on.
  std::size_t held_to_target() const { return held_from(kVisitor); }
  std::size_t held_to_visitor() const { return held_from(kTarget); }
  /// Gives a rested pair away: no reference to its sockets is left in the loop. No event follows; the pair may be
  /// destroyed.
  ReleasedPair release();

  transport::Endpoint& target() { return *sides_[kTarget].endpoint; }
  bool ending() const { return end_.has_value(); }

 private:
  enum class State { kWaiting, kRunning, kResting, kRested, kClosing, kOver };
  enum class Direction : std::uint8_t { kReading, kWriting, kFinishing, kEnded };
  static constexpr int kVisitor = 0;
  static constexpr int kTarget = 1;

  /// One endpoint and the direction that starts at it.
  struct Side final : transport::EndpointEvents {
    void on_data(std::span<const std::byte> bytes) override { pair->on_data(*this, bytes); }
    void on_eof() override { pair->on_eof(*this); }
    void on_written() override { pair->on_written(pair->other(*this)); }
    void on_copied() override { pair->on_copied(pair->other(*this)); }
    void on_finished() override { pair->on_finished(pair->other(*this)); }
    void on_error(int os_errno) override { pair->on_error(*this, os_errno); }
    void on_closed() override { pair->on_closed(*this); }
    void on_rested() override { pair->on_rested(*this); }
    void on_readable() override { pair->on_readable(*this); }
    void on_writable() override { pair->on_writable(pair->other(*this)); }
    void on_stuck() override { pair->on_stuck(pair->other(*this)); }

    Pair* pair = nullptr;
    std::unique_ptr<transport::Endpoint> endpoint;
    Direction direction = Direction::kReading;
    std::size_t moving = 0;  // bytes of the write in flight, but for those in the pipe
    std::unique_ptr<io::Pipe> pipe;
    std::unique_ptr<std::vector<std::byte>> spilled;  // what was in the pipe when the other side was stuck
    std::uint8_t large = 0;                           // reads that were worth splicing, less those that were not
    std::uint8_t patience = 4;                        // so many before splicing begins
    bool splicing = false;
    bool rested = false;
    bool closed = false;
  };

  void run();
  // `from` is the side whose direction the event belongs to.
  void on_data(Side& from, std::span<const std::byte> bytes);
  void on_eof(Side& from);
  void on_written(Side& from);
  void on_copied(Side& from);
  void on_finished(Side& from);
  void on_error(Side& broken, int os_errno);
  void on_closed(Side& side);
  void on_rested(Side& side);
  void rested_if_still();

  // In pair_splice.cpp.
  void read_on(Side& from);
  void on_readable(Side& from);
  void on_writable(Side& from);
  void on_stuck(Side& from);
  bool fill(Side& from, bool first);
  bool empty(Side& from);
  void spill(Side& from);
  void stop_splicing(Side& from);
  static void weigh(Side& from, std::size_t bytes);
  static void wait_longer(Side& from);

  bool moving() const { return state_ == State::kRunning || state_ == State::kResting; }
  ReleasedPair::Direction release_direction(Side& from);
  std::size_t held_from(int side) const;

  Side& other(const Side& side) { return sides_[&side == &sides_[kVisitor] ? kTarget : kVisitor]; }
  void count(const Side& from, std::size_t bytes);
  void on_idle_check();
  void end(core::FlowEnd why, transport::CloseMode mode);

  io::Loop& loop_;
  std::array<Side, 2> sides_;
  std::shared_ptr<core::FlowCounters> counters_;
  const Millis idle_timeout_;
  PairEvents& events_;
  State state_ = State::kWaiting;
  std::optional<core::FlowEnd> end_;
  Instant last_activity_;
  io::Timer idle_;  // lazy: armed for the whole timeout, looks at last_activity_ when it fires
};

}  // namespace nfr::datapath
