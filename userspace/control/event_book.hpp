// SPDX-License-Identifier: GPL-2.0-only
// EventBook: who changed what when, for `nfctl events`: the last thousand lines, newest last. Control thread. Flows
// that ended or were refused are FlowBook's.
#pragma once

#include <deque>
#include <string>

#include "base/clock.hpp"

namespace nfr::control {

class EventBook {
 public:
  struct Event {
    WallTime at;
    std::string who;   ///< "uid 0", "agent client1", "relay"
    std::string what;  ///< "mapped 8888/tcp -> client1 127.0.0.1:3306"
  };
  explicit EventBook(const Clock& clock) : clock_(clock) {}

  void note(std::string who, std::string what) {
    events_.push_back({clock_.wall(), std::move(who), std::move(what)});
    if (events_.size() > kEventsMax) events_.pop_front();
  }
  const std::deque<Event>& all() const { return events_; }

 private:
  static constexpr std::size_t kEventsMax = 1000;
  const Clock& clock_;
  std::deque<Event> events_;
};

}  // namespace nfr::control
