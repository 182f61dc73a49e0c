// SPDX-License-Identifier: GPL-2.0-only
// Flows from the visitor's arrival to their end: who waits for a channel, which channel may take whom, what runs,
// what happened lately. Policy of the relay, on the control thread; bytes move in the data plane.
//
//   waiting (no session) --session up--> asked (OPEN sent) --channel with our number--> starting --ready--> running
//                                  \--many asked--> queued --its turn--> asked, or starting
//   A visitor who finds a channel ready (ChannelPool) is starting at once; if that channel is broken: asked.
//   Every state ends in an event of recent(): refused with the reason, or ended with the cause.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "control/admission.hpp"
#include "control/agent_book.hpp"
#include "control/channel_pool.hpp"
#include "control/mapping_book.hpp"
#include "control/open_pace.hpp"
#include "control/session_book.hpp"
#include "proto/preface.hpp"
#include "proto/refuse.hpp"

namespace nfr::control {

struct FlowSettings {
  Millis open_timeout{10'000};  ///< life of an OPEN number
  Millis agent_grace{3'000};    ///< how long a visitor waits for an agent that was here a moment ago
  std::size_t flow_count_max = 200'000;
  std::size_t tls_asked_max = 64;  ///< tls channels of visitors asked for at once; more wait their turn
  PoolSettings pool;
};

class FlowBook {
 public:
  enum class State { kWaiting, kQueued, kAsked, kStarting, kRunning };
  struct Flow {
    core::FlowId id;
    State state = State::kWaiting;
    core::VisitorRef visitor;
    net::Endpoint visitor_address;
    net::Endpoint public_endpoint;  ///< as the visitor dialled it
    core::MappingId mapping;
    std::string mapping_text;  ///< the port dialled; survives unmap
    core::AgentId agent;
    std::string agent_name;
    core::SessionId session;  ///< the OPEN went to
    core::Leg leg = core::Leg::kPlain;
    bool lost = false;  ///< the channel that stood ready for it was broken: the next is asked for
    bool cut = false;   ///< asked for while its channel was tried: it is not to be tried again
    Instant started;
    Instant deadline;
    std::shared_ptr<core::FlowCounters> counters;
  };
  /// One line of `nfctl flows --recent`.
  struct Event {
    WallTime at;
    net::Endpoint visitor;
    std::string public_text;
    std::string verdict;  ///< "denied", "refused" or "ended"
    std::string detail;
    std::uint64_t in_bytes = 0;
    std::uint64_t out_bytes = 0;
  };

  FlowBook(MappingBook& mappings, AgentBook& agents, SessionBook& sessions, core::DataPlane& plane,
           core::Crypto& crypto, Clock& clock, FlowSettings settings);

  void on_visitor(core::VisitorRef ref, core::MappingId mapping, const net::Endpoint& visitor,
                  const net::Endpoint& local);
  void on_visitor_gone(core::VisitorRef ref);
  void on_channel(core::ChannelRef channel, std::span<const std::byte> preface, core::Leg leg);
  void on_open_failed(core::AgentId agent, std::uint64_t number, std::uint16_t reason);
  void on_ready(core::FlowId id);
  void on_refused(core::FlowId id, proto::RefuseReason reason);
  void on_ended(core::FlowId id, core::FlowEnd end);
  /// The channel that stood ready for this flow was broken: its visitor waits for another.
  void on_channel_lost(core::FlowId id);
  void on_channel_gone(core::ChannelRef channel) { pool_.on_channel_gone(channel); }
  void on_session_up(core::AgentId agent);
  /// Visitors whose channel was asked for wait for the agent again, as those who come now.
  void on_session_down(core::AgentId agent);
  void reconfigure(const FlowSettings& settings);
  /// How many visitors the descriptors allow at once, how many ready channels beside them, and for how many channels
  /// there is room until their prefaces are read.
  void set_descriptors(std::size_t visitors_max, std::size_t pool_max, std::size_t strangers);
  void tick();

  /// Keys for a tls channel that claims this OPEN number; nothing unless the number is outstanding.
  std::optional<core::SessionKeys> keys_for(core::SessionId session, std::uint64_t number) const;

  /// Cuts every flow the predicate names, whatever its state; returns how many.
  std::size_t cut_if(const std::function<bool(const Flow&)>& matches);
  std::size_t refuse_waiting_of(core::MappingId mapping);
  std::size_t count_of(const std::function<bool(const Flow&)>& matches) const;

  /// Cuts the flows of the mapping whose visitors its lists do not admit (any more); returns how many.
  std::size_t cut_unadmitted(const core::Mapping& mapping);

  /// Leg by rule: what was asked (else plain); tls where the agent demands it, or where the relay promises something
  /// about the visitors that somebody on the path could otherwise pretend.
  static core::Leg effective_leg(const core::Mapping& mapping, const SessionBook::Session* session);

  const std::map<core::FlowId, Flow>& all() const { return flows_; }
  const std::deque<Event>& recent() const { return recent_; }
  const ChannelPool& pool() const { return pool_; }
  std::size_t visitors_max() const { return visitors_max_; }
  /// The most flows there were since the last call.
  std::size_t take_high_water() { return std::exchange(high_water_, flows_.size()); }

 private:
  Flow arrival(core::VisitorRef ref, const core::Mapping& mapping, const core::AgentRecord& agent,
               const net::Endpoint& visitor, const net::Endpoint& local);
  void serve(Flow& flow, const core::Mapping& mapping);
  void ask(Flow& flow, const ChannelPool::Wanted& wanted);
  struct Beginning {
    bool stood_ready;  ///< as in core::FlowSpec
    bool early;
  };
  void begin(Flow& flow, core::ChannelRef channel, std::uint64_t number, const core::SessionKeys& keys, Beginning how);
  std::optional<ChannelPool::Wanted> wanted_at(const core::Mapping& mapping, net::Port port) const;
  std::optional<ChannelPool::Wanted> wanted_at(const ChannelPool::Place& place) const;
  void ask_next();
  void serve_queued();
  OpenPace::Limits pace_limits() const { return {asked_max_, settings_.tls_asked_max}; }
  void wait_for_agent(Flow& flow);
  void make_room();
  void refuse(core::FlowId id, std::string detail);
  void erase(std::map<core::FlowId, Flow>::iterator flow);
  void note(const Flow& flow, std::string verdict, std::string detail);
  bool agent_was_here(core::AgentId agent) const;
  std::string away_text(const core::AgentRecord& agent) const;

  MappingBook& mappings_;
  AgentBook& agents_;
  SessionBook& sessions_;
  core::DataPlane& plane_;
  core::Crypto& crypto_;
  Clock& clock_;
  FlowSettings settings_;
  AdmissionBook admission_;
  ChannelPool pool_;
  OpenPace pace_;
  std::size_t asked_max_ = SIZE_MAX;
  std::size_t visitors_max_ = SIZE_MAX;
  std::size_t pool_max_ = SIZE_MAX;
  std::size_t high_water_ = 0;
  Instant born_;
  std::map<core::FlowId, Flow> flows_;
  std::map<core::VisitorRef, core::FlowId> by_visitor_;  ///< waiting, queued and asked only
  std::uint64_t last_id_ = 0;
  std::deque<Event> recent_;
};

}  // namespace nfr::control
