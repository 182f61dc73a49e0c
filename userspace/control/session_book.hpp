// SPDX-License-Identifier: GPL-2.0-only
// Sessions of the relay: login, takeover, heartbeats, and what is sent to an agent. Policy, on the control thread.
// Calls Observer for what others must know; knows no flow and no mapping.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "base/random.hpp"
#include "control/agent_book.hpp"
#include "core/seams.hpp"
#include "nfr/wire/wire.h"
#include "proto/message.hpp"

namespace nfr::control {

struct SessionSettings {
  Millis heartbeat{5000};
  Millis login_timeout{5000};
};

class SessionBook {
 public:
  struct Session {
    core::LinkId link_id;
    core::AgentLink* link = nullptr;
    core::PeerIdentity peer;
    core::SessionId id;   ///< none until login
    core::AgentId agent;  ///< none until login
    core::InstanceId instance;
    std::uint32_t version = 0;  ///< of the protocol; 0 until login
    core::Leg leg_min = core::Leg::kPlain;
    bool keeps_channels = false;  ///< channels may be asked for before their visitors are there
    std::string software;         ///< escaped
    WallTime since;
    Instant last_heard;
    Instant last_ping;
    Millis heartbeat{0};   ///< as the welcome told it
    bool closing = false;  ///< bye was sent; messages are ignored, the link is going
  };

  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void on_session_up(const Session& session) = 0;
    /// The agent has no session any more (not called when another session took over).
    virtual void on_session_down(core::AgentId agent) = 0;
    virtual void on_session_message(const Session& session, const proto::Message& message) = 0;
  };

  SessionBook(AgentBook& agents, core::RelayKeys& keys, Clock& clock, Random& random, SessionSettings settings,
              Observer& observer)
      : agents_(agents), keys_(keys), clock_(clock), random_(random), settings_(settings), observer_(observer) {}

  void on_link(core::LinkId id, core::AgentLink& link, core::PeerIdentity peer);
  void on_message(core::LinkId id, std::string_view payload);
  void on_link_closed(core::LinkId id, std::string_view reason);
  void reconfigure(const SessionSettings& settings) { settings_ = settings; }
  void tick();

  const Session* active(core::AgentId agent) const;
  const Session* find(core::SessionId id) const;
  bool logged_in(core::LinkId link) const;                        ///< its hello was accepted
  bool send(core::AgentId agent, const proto::Message& message);  ///< false: no session
  std::size_t broadcast(const proto::Message& message);           ///< how many sessions it went to
  /// Ends the agent's session; on_session_down follows at once.
  void end(core::AgentId agent, proto::ByeCode code, std::string text);
  void end_all(proto::ByeCode code, std::string text);

  /// Last contact of an agent without a session; nothing if it was never seen by this process.
  struct LastSeen {
    net::Endpoint address;
    Instant at;
    WallTime wall;
  };
  const LastSeen* last_seen(core::AgentId agent) const;
  /// For `nfctl agents`: that two machines use one identity; empty otherwise.
  std::string duplicate_note(core::AgentId agent) const;
  std::size_t active_count() const { return by_agent_.size(); }

 private:
  struct Takeover {
    Instant at;
    core::InstanceId low;
    core::InstanceId high;
  };
  struct Contest {
    std::deque<Takeover> takeovers;
    std::string note;
    Instant noted;
  };

  void login(Session& session, const proto::Hello& hello);
  Result<core::AgentRecord> identify(const Session& session, const proto::Hello& hello);
  void log_refusal(const Session& session, const Error& error);
  bool contested(Session& session, const Session& current);
  void activate(Session& session, const core::AgentRecord& agent);
  void hang_up(Session& session, proto::ByeCode code, std::string text);
  void forget(Session& session);
  void tick_one(Session& session, Instant now);

  AgentBook& agents_;
  core::RelayKeys& keys_;
  Clock& clock_;
  Random& random_;
  SessionSettings settings_;
  Observer& observer_;
  std::map<core::LinkId, Session> sessions_;
  std::map<core::AgentId, core::LinkId> by_agent_;
  std::map<core::SessionId, core::LinkId> by_id_;
  std::map<core::AgentId, LastSeen> last_seen_;
  std::map<core::AgentId, Contest> contests_;
  Instant next_refusal_log_{};
  std::uint64_t refusals_unlogged_ = 0;
};

}  // namespace nfr::control
