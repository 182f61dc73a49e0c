// SPDX-License-Identifier: GPL-2.0-only
// A relay, some agents and their visitors in one simulated world: links with latency that break or go silent,
// restarts of both sides, a store that fails. Drives the real control::Relay and control::Agent; every rule that
// must always hold is checked where it could break and collected in `violations`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/agent.hpp"
#include "control/relay.hpp"
#include "harness/sim/basics.hpp"

namespace nfr::sim {

class World;

/// One TCP+TLS connection between an agent and the relay.
struct Wire {
  core::LinkId id;
  int machine = -1;
  bool silent = false;  ///< packets vanish, nobody is told
  bool open = true;     ///< neither end has closed it
  bool agent_told = false;
  core::PeerIdentity peer;
  std::map<std::uint64_t, unsigned> answers;  ///< to each declare of the agent, by its serial
  unsigned retold = 0;                        ///< reasons for which the relay may answer the last one again
};

/// The relay's end of a wire.
class RelayEnd final : public core::AgentLink {
 public:
  RelayEnd(World& world, std::shared_ptr<Wire> wire) : world_(world), wire_(std::move(wire)) {}
  void send(std::string payload) override;
  void close() override;

 private:
  World& world_;
  std::shared_ptr<Wire> wire_;
};

/// The agent's end of a wire.
class AgentEnd final : public core::AgentLink {
 public:
  AgentEnd(World& world, std::shared_ptr<Wire> wire) : world_(world), wire_(std::move(wire)) {}
  void send(std::string payload) override;
  void close() override;

 private:
  World& world_;
  std::shared_ptr<Wire> wire_;
};

/// A machine that runs an agent: its key and state survive restarts of the agent.
class Machine final : public control::AgentWorld {
 public:
  Machine(World& world, int index) : world_(world), index_(index) {}
  void boot();   ///< starts the agent, if it has joined or has a join line
  void crash();  ///< kill -9: links break, nothing is said

  // control::AgentWorld
  void dial_relay(const std::string& address) override;
  std::optional<proto::RefuseReason> open_channel(const proto::Open& open, core::SessionId session,
                                                  const core::SessionKeys& keys) override;
  void probe(const proto::Probe& probe) override;
  bool allowed(const core::Target& target) const override { return target.endpoint.address.is_loopback(); }
  Status save_pins(const std::array<core::Pin, 2>&) override { return {}; }
  void enrolled() override { token.clear(); }
  void connected(const std::string&, const proto::Welcome&, Micros) override { ++logins; }
  void disconnected(const std::string&, Millis) override {}
  void notice(const std::string& text) override { last_notice = text; }
  void declared(const std::vector<proto::Wish>& asked, const proto::Declared& outcome) override;
  void give_up(const std::string& reason) override { gave_up = reason; }

  core::Pin key{};
  std::string name;
  std::string token;  ///< of a join line not used yet
  std::string gave_up;
  std::string last_notice;
  std::vector<proto::Wish> wishes;  ///< of the configuration: told to the agent at every boot
  std::vector<proto::Wish> last_asked;
  proto::Declared last_declared;
  unsigned logins = 0;
  std::unique_ptr<control::Agent> agent;
  std::shared_ptr<Wire> wire;
  std::unique_ptr<AgentEnd> end;
  unsigned boots = 0;

 private:
  World& world_;
  int index_;
};

/// A data connection that arrived at the relay.
struct Channel {
  std::string opener;  ///< the agent's name then; empty: somebody replays a preface
  int machine = -1;
  core::SessionId session;
  core::MappingId mapping;
  core::Target target;
  core::Leg leg = core::Leg::kPlain;
  bool dead = false;  ///< and the relay does not know yet
};

/// What became of a visitor.
struct Visitor {
  core::MappingId mapping;
  core::AgentId agent;
  net::IpAddress source;
  Instant arrived;
  enum class Fate { kPending, kRefused, kStarted, kLost } fate = Fate::kPending;
};

class World final : public core::DataPlane {
 public:
  explicit World(std::uint64_t seed);
  ~World() override;

  void run_for(Micros span);
  void boot_relay();
  void crash_relay();
  int add_machine();  ///< returns its index
  /// Gives machine `index` a join line for agent `name` (made if new) and a new key, then boots it.
  bool join(int index, const std::string& name);
  void revoke(const std::string& agent);
  /// `life` 0: for ever.
  bool map(std::uint16_t port, const std::string& agent, std::chrono::minutes life = {});
  void set_rights(const std::string& agent, const core::Rights& rights);
  void unmap(const core::PublicPorts& ports, bool now);
  void rename(const std::string& from, const std::string& to);
  void apply(const std::vector<control::MappingBook::Request>& declared, bool dry_run);
  /// A visitor from 198.51.100.`host`.
  core::VisitorRef visit(core::MappingId mapping, std::uint8_t host = 7);
  void set_admission(const core::PublicPorts& ports_of, const core::Admission& admission);
  void break_wire(int machine);
  void silence_wire(int machine);
  void expect(bool holds, const std::string& what);

  SimClock clock;
  SimRandom random;
  SimQueue queue{clock};
  SimCrypto crypto;
  SimStore store;
  SimKeys keys{random};
  std::unique_ptr<SimPorts> ports;
  std::unique_ptr<control::Relay> relay;
  std::vector<std::unique_ptr<Machine>> machines;
  std::map<core::VisitorRef, Visitor> visitors;
  std::set<std::string> revoked;  ///< by the operator's word, not by the policy's
  std::vector<std::string> violations;
  unsigned started = 0;
  unsigned started_ready = 0;  ///< of these, with a channel that stood ready
  unsigned lost = 0;           ///< of these, found broken
  bool scarce = false;         ///< relays that boot have descriptors for 24 visitors and 6 ready channels
  std::size_t visitors_max = SIZE_MAX;
  std::map<core::ChannelRef, Channel> kept;
  void check_pool();  ///< rules for channels that stand ready
  /// The first automatic port of an agent's target that the store remembered.
  std::map<std::pair<core::AgentId, std::string>, std::string> first_addresses;

  // Used by wires and machines.
  void connect(Machine& machine, int index);
  void to_relay(const std::shared_ptr<Wire>& wire, std::string payload);
  void to_agent(const std::shared_ptr<Wire>& wire, std::string payload);
  void close_wire(const std::shared_ptr<Wire>& wire, bool by_relay);
  void channel_arrives(const Channel& channel, proto::PrefaceBytes preface);
  Micros latency() { return Micros(100 + random.below(20'000)); }

  /// Kept channels of a machine break; the relay learns of it a little later, or when it uses one.
  void break_channels(int machine);

  // core::DataPlane
  void refuse(core::VisitorRef visitor) override;
  void start(core::VisitorRef visitor, core::ChannelRef channel, core::FlowSpec spec) override;
  void reject(core::ChannelRef channel) override;
  void keep(core::ChannelRef channel) override;
  void cut(core::FlowId flow) override;
  void set_visitors_max(std::size_t count) override { visitors_max = count; }

 private:
  void check_start(const Visitor& visitor, const Channel& channel, const core::FlowSpec& spec);
  void begin_flow(core::FlowId id);
  void lose(core::VisitorRef ref, core::FlowId flow, unsigned generation);
  void may_retell();
  void tell_agent(const std::shared_ptr<Wire>& wire, const char* reason);
  void tick();
  void end_flow(core::FlowId flow, core::FlowEnd end, unsigned generation);

  std::map<core::LinkId, std::pair<std::shared_ptr<Wire>, std::unique_ptr<RelayEnd>>> links_;
  std::map<core::ChannelRef, Channel> channels_;  ///< being decided about
  std::map<std::string, std::string> renamed_;
  std::set<core::FlowId> flows_;  ///< running
  std::uint64_t last_id_ = 0;
  unsigned generation_ = 0;  ///< of the relay process
};

}  // namespace nfr::sim
