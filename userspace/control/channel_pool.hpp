// SPDX-License-Identifier: GPL-2.0-only
// ChannelPool: channels asked for before their visitors are there. An ordinary OPEN with `wait_ms`, to agents that said
// they keep such channels; what comes is kept by the data plane until a visitor takes it. A channel serves only
// visitors for whom exactly its OPEN would be sent now. Policy of the relay, on the control thread; part of FlowBook.
//
//   asked (OPEN sent) --its preface--> ready (kept) --visitor--> gone to a flow
//                                        \--aged, broken, session over, mapping changed, descriptors short--> reset
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "control/pool_plan.hpp"
#include "control/session_book.hpp"

namespace nfr::control {

struct PoolSettings {
  Millis age{60'000};              ///< a ready channel is replaced after that; below what NATs keep a connection
  std::size_t count_max = 512;     ///< ready and asked for, in all; 0: no pool
  Millis open_timeout{10'000};     ///< life of an OPEN number
  std::size_t tls_asked_max = 32;  ///< of leg tls asked for at once
};

class ChannelPool {
 public:
  /// A public port of a mapping: one target, and so one kind of channel.
  struct Place {
    core::MappingId mapping;
    net::Port port;
    auto operator<=>(const Place&) const = default;
  };
  struct Ready {
    core::ChannelRef channel;
    std::uint64_t number = 0;
    bool fresh = false;  ///< it came a moment ago: as good as one that was asked for now
  };
  /// The OPEN (number 0) a visitor of this place would cause now, and whom; nothing: no such visitor can be served.
  struct Wanted {
    proto::Open open;
    const SessionBook::Session* session = nullptr;
  };
  using Look = std::function<std::optional<Wanted>(const Place&)>;

  struct Counts {
    std::uint64_t hits = 0;      ///< visitors who found a channel ready
    std::uint64_t misses = 0;    ///< visitors of agents that keep channels who found none
    std::uint64_t aged = 0;      ///< replaced, or not needed any more
    std::uint64_t died = 0;      ///< broke while they stood ready, or were found broken by their visitor
    std::uint64_t failed = 0;    ///< asked for and did not come
    std::uint64_t given_up = 0;  ///< for want of descriptors, or for a busier mapping
  };

  ChannelPool(SessionBook& sessions, core::DataPlane& plane, const Clock& clock, PoolSettings settings)
      : sessions_(sessions), plane_(plane), clock_(clock), settings_(settings) {}

  /// A visitor came for whom `wanted` holds. The channel, if there is one, is the caller's. replace() follows.
  std::optional<Ready> take(const Place& place, const Wanted& wanted);
  /// Asks for what take() left missing, once the visitor is served.
  void replace(const Place& place);
  /// Whether a channel of this number is expected from that session.
  bool expects(core::SessionId session, std::uint64_t number) const;
  /// The channel of an expected number, its MAC verified; the number is spent. Keeps or rejects it.
  void on_channel(core::ChannelRef channel, std::uint64_t number, core::Leg leg);
  void on_open_failed(core::AgentId agent, std::uint64_t number);
  void on_channel_gone(core::ChannelRef channel);  ///< while it stood ready
  void on_taken_broken() { ++counts_.died; }       ///< one that a visitor had taken
  /// Channels of other sessions than the agent's present one end.
  void on_session_change(core::AgentId agent);
  /// Ends what is old or fits no visitor any more, asks for what is missing.
  void tick(const Look& look);
  /// Gives up so many, those first that are needed least.
  void give_up(std::size_t count);

  void reconfigure(const PoolSettings& settings) { settings_ = settings; }
  /// Beside settings: what the descriptors allow. 0: nothing new is asked for.
  void set_limit(std::size_t count) { limit_ = count; }
  void set_asked_max(std::size_t count) { asked_max_ = count; }  ///< at once

  std::size_t ready_count() const { return ready_.size(); }
  std::size_t ready_at(const Place& place) const;
  std::size_t asked_count() const { return asked_.size(); }
  std::size_t held() const { return ready_.size() + asked_.size(); }
  std::size_t count_max() const { return std::min(settings_.count_max, limit_); }
  std::size_t limit() const { return limit_; }
  std::size_t wanted_count() const;
  std::size_t ready_of(core::AgentId agent) const;
  const Counts& counts() const { return counts_; }

 private:
  struct Entry {
    explicit Entry(Millis idle_after) : plan(idle_after) {}
    PoolPlan plan;
    proto::Open open;  ///< number 0; what the channels were asked for by
    core::AgentId agent;
    core::SessionId session;
    std::deque<core::ChannelRef> ready;  ///< oldest first
    std::size_t asked = 0;
    unsigned failures = 0;  ///< since the last that came
    Instant retry_at{};
  };
  struct Asked {
    Place place;
    core::AgentId agent;
    core::SessionId session;
    core::Leg leg = core::Leg::kPlain;
    Instant at;
  };
  struct Kept {
    Place place;
    core::AgentId agent;
    std::uint64_t number = 0;
    Instant since;
  };

  Entry& entry_for(const Place& place, const Wanted& wanted);
  void refill(const Place& place, Entry& entry);
  void ask(const Place& place, Entry& entry);
  bool make_room(const Entry& entry);
  bool may_ask(const Entry& entry) const;
  void fail(std::map<std::uint64_t, Asked>::iterator asked);
  void end(core::ChannelRef channel, std::uint64_t Counts::*why);
  void clear(const Place& place, Entry& entry);
  void end_old(Instant now);
  std::size_t held_by(core::AgentId agent) const;

  SessionBook& sessions_;
  core::DataPlane& plane_;
  const Clock& clock_;
  PoolSettings settings_;
  std::size_t limit_ = SIZE_MAX;
  std::size_t asked_max_ = SIZE_MAX;
  std::map<Place, Entry> entries_;
  std::map<std::uint64_t, Asked> asked_;
  std::map<core::ChannelRef, Kept> ready_;
  std::uint64_t last_number_ = 0;
  Counts counts_;
};

}  // namespace nfr::control
