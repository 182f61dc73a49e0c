// SPDX-License-Identifier: GPL-2.0-only
// What to do when accept fails, and the spare descriptor that keeps the control path alive while it does.
// Called by both back ends on their thread. Does not accept anything itself.
#pragma once

#include "base/clock.hpp"
#include "base/fd.hpp"

namespace nfr::io {

enum class AcceptVerdict {
  kAgain,  ///< that one connection was lost, or a signal came: go on at once
  kPause,  ///< out of descriptors or memory: going on at once would only spin
  kEnd,    ///< the listener cannot accept: its owner must know
};

/// error: a positive errno. accept(2) passes on network errors of the new connection as its own.
AcceptVerdict judge_accept_error(int error);

/// Says that accepting pauses for this errno, and what to do.
void log_accept_pause(int error);

/// How long accepting rests after kPause, milliseconds.
constexpr Millis kAcceptPause{100};

/// One descriptor held back. Let go while accepting rests, so that a log file or the database can still be
/// opened; accepting goes on only after it could be taken again.
class SpareDescriptor {
 public:
  /// of: any descriptor that stays open meanwhile; the spare is a duplicate of it.
  explicit SpareDescriptor(int of) : of_(of) { retake(); }
  void let_go() { spare_.reset(); }
  /// False: there is no descriptor left to hold back.
  bool retake();
  bool held() const { return spare_.valid(); }

 private:
  int of_;
  Fd spare_;
};

}  // namespace nfr::io
