// SPDX-License-Identifier: GPL-2.0-only
// The relay's policy whole: events in, decisions out through core's seams, no I/O. One instance, on the control
// thread (or under the simulator's clock). Commands are those of nfctl; their JSON is relayd's business.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/declarations.hpp"
#include "control/descriptor_budget.hpp"
#include "control/event_book.hpp"
#include "control/flow_book.hpp"
#include "control/mapping_plan.hpp"

namespace nfr::control {

struct RelaySettings {
  SessionSettings session;
  FlowSettings flow;
  std::vector<std::string> join_addresses;  ///< HOST:PORT for the join line
  std::string public_host;                  ///< what `map` prints; an address or a name
  Millis probe_timeout{3000};
};

class Relay final : private SessionBook::Observer, private Declarations::Observer {
 public:
  struct Seams {
    Clock& clock;
    Random& random;
    core::Crypto& crypto;
    core::StateStore& store;
    core::RelayKeys& keys;
    core::DataPlane& plane;
    core::Ports& ports;
  };

  Relay(Seams seams, RelaySettings settings);
  /// Loads the state and opens the ports. On an error nothing runs.
  Status start();
  /// Drives every timeout; to be called at least every 100 ms.
  void tick();
  /// New limits and times act from now on; running flows and sessions stay.
  void reconfigure(RelaySettings settings);
  /// What the process has and needs; the plan made of it acts from now on. Meant to be told every second or so.
  void set_descriptors(const DescriptorFacts& facts);
  const DescriptorBudget& descriptors() const { return descriptors_; }
  /// Tells the agents; flows are the data plane's to end.
  void stop();

  // Events of sessions.
  void on_link(core::LinkId id, core::AgentLink& link, core::PeerIdentity peer) {
    sessions_.on_link(id, link, std::move(peer));
  }
  void on_link_message(core::LinkId id, std::string_view payload) { sessions_.on_message(id, payload); }
  void on_link_closed(core::LinkId id, std::string_view reason) { sessions_.on_link_closed(id, reason); }
  // Events of the data plane.
  FlowBook& flows() { return flows_; }
  const FlowBook& flows() const { return flows_; }

  // Commands.
  struct Invitation {
    std::string name;
    std::string join_line;
    WallTime expires;
  };
  Result<Invitation> agent_add(std::string_view name);
  Result<Invitation> agent_rejoin(std::string_view name);
  Result<std::size_t> agent_revoke(std::string_view name);  ///< flows cut
  Result<std::size_t> agent_remove(std::string_view name);  ///< flows cut

  struct MapResult {
    core::Mapping mapping;
    std::string agent;
    core::Leg leg = core::Leg::kPlain;
    std::string probe_state;  ///< answers, refused, no_answer, agent_away, not_allowed
    std::string probe_text;
    Micros dial{0};
    std::vector<std::string> warnings;
  };
  void map(const MappingBook::Request& request, std::function<void(Result<MapResult>)> done);
  /// What map() told, for a mapping that is there.
  void check(const core::PublicPorts& ports, std::function<void(Result<MapResult>)> done);
  struct UnmapResult {
    core::Mapping mapping;
    std::size_t running = 0;
    std::size_t cut = 0;
  };
  Result<UnmapResult> unmap(const core::PublicPorts& ports, bool now);
  struct AdmissionResult {
    core::Mapping mapping;
    core::Leg leg = core::Leg::kPlain;  ///< of new flows
    bool leg_changed = false;
    std::size_t cut = 0;
    std::size_t running = 0;  ///< that go on
  };
  Result<AdmissionResult> set_admission(const core::PublicPorts& ports, core::Admission admission);
  struct RightsResult {
    core::AgentRecord agent;
    std::size_t withdrawn = 0;  ///< mappings of the agent's own making
  };
  Result<RightsResult> set_rights(std::string_view agent, core::Rights rights);
  Result<core::AgentRecord> agent_rename(std::string_view from, std::string_view to) {
    return agents_.rename(from, to);
  }
  /// Makes the operator's mappings those declared; with `dry_run` only says what it would do.
  void apply(const std::vector<MappingBook::Request>& declared, bool dry_run,
             std::function<void(Result<MappingPlan>)> done);
  Result<std::size_t> rotate_key();  ///< sessions told

  EventBook& events() { return events_; }
  /// As visitors dial it: "203.0.113.5:8888", "203.0.113.5:5000-5100".
  std::string address_of(const core::PublicPorts& ports) const override;

  const AgentBook& agents() const { return agents_; }
  const SessionBook& sessions() const { return sessions_; }
  const MappingBook& mappings() const { return mappings_; }
  const RelaySettings& settings() const { return settings_; }

 private:
  struct PendingProbe {
    core::AgentId agent;
    Instant deadline;
    MapResult result;
    std::function<void(Result<MapResult>)> done;
  };
  void on_session_up(const SessionBook::Session& session) override;
  void on_session_down(core::AgentId agent) override;
  void on_session_message(const SessionBook::Session& session, const proto::Message& message) override;
  void on_declared(const core::AgentRecord& agent, const core::Mapping& mapping) override;
  void on_withdrawn(const core::AgentRecord& agent, const core::Mapping& mapping, std::string_view why) override;
  MapResult result_of(const core::Mapping& mapping) const;
  void probe(MapResult result, std::function<void(Result<MapResult>)> done);
  void finish_probe(std::uint64_t number, std::string state, std::string text, Micros dial);
  Invitation invitation(const AgentBook::Invitation& made) const;
  std::size_t cut_agent(core::AgentId agent);

  Seams seams_;
  RelaySettings settings_;
  AgentBook agents_;
  SessionBook sessions_;
  MappingBook mappings_;
  FlowBook flows_;
  EventBook events_;
  Declarations declarations_;
  DescriptorBudget descriptors_;
  std::map<std::uint64_t, PendingProbe> probes_;
  std::uint64_t last_probe_ = 0;
};

}  // namespace nfr::control
