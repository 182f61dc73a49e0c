// SPDX-License-Identifier: GPL-2.0-only
// The seams between policy (control) and mechanism: what control may ask of the world. Every call is made on
// the control thread and returns at once; answers come back as events of control::Relay. Real implementations
// live in store, tls, holder and relayd; the simulator brings its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/nouns.hpp"

namespace nfr::core {

/// SHA-256, HMAC and comparison. Stateless and thread-safe.
class Crypto {
 public:
  virtual ~Crypto() = default;
  virtual Digest sha256(std::span<const std::byte> data) const = 0;
  virtual Digest hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> data) const = 0;
  /// Constant time in the contents; false when sizes differ.
  virtual bool equal(std::span<const std::byte> a, std::span<const std::byte> b) const = 0;
};

/// Everything durable. A mutation is on disk when it returns ok; on an error nothing changed.
class StateStore {
 public:
  struct State {
    std::vector<AgentRecord> agents;
    std::vector<Mapping> mappings;
    std::vector<PortMemory> memories;  ///< oldest first
  };
  virtual ~StateStore() = default;
  virtual Result<State> load() = 0;
  /// Inserts when record.id is none (and returns the new id), else updates. kExists on a duplicate name.
  virtual Result<AgentId> put_agent(const AgentRecord& record) = 0;
  virtual Status remove_agent(AgentId id) = 0;  ///< with its mappings
  /// Inserts when mapping.id is none (and returns the new id), else updates. kExists on a duplicate public endpoint.
  virtual Result<MappingId> put_mapping(const Mapping& mapping) = 0;
  virtual Status remove_mapping(MappingId id) = 0;
  /// All or nothing: removals first, then what put_mapping does for each. Ids of the puts, in order.
  virtual Result<std::vector<MappingId>> change_mappings(const std::vector<MappingId>& remove,
                                                         const std::vector<Mapping>& put) = 0;
  /// Remembers that the relay chose `port` for the agent's target, so that it gets the same again. The oldest memories
  /// beyond a few thousand are forgotten.
  virtual Status remember_port(const PortMemory& memory) = 0;
};

/// The relay's own keys. pins() holds the current key first, then the next one.
class RelayKeys {
 public:
  virtual ~RelayKeys() = default;
  virtual std::array<Pin, 2> pins() const = 0;
  /// The next key becomes current for new sessions, a fresh next one is made and stored.
  virtual Status rotate() = 0;
};

/// Secrets of one session, exported from its TLS connection.
struct SessionKeys {
  Key to_agent{};     ///< MAC key for START
  Key to_relay{};     ///< MAC key for preface, READY and REFUSED
  Key channel_psk{};  ///< channel PSKs are HMACs of the channel number under it
};

/// Who is at the other end of an authenticated TLS connection.
struct PeerIdentity {
  Pin key{};  ///< of the certificate it proved
  net::Endpoint address;
  SessionKeys keys;
};

/// The sending half of one session. Owned by the wiring; valid until Relay::on_link_closed for it returned.
class AgentLink {
 public:
  virtual ~AgentLink() = default;
  virtual void send(
      std::string payload) = 0;  ///< one JSON message; framed and queued; a peer that never reads is closed
  virtual void close() = 0;      ///< after what was queued; on_link_closed follows, not from inside this call
};

/// A visitor accepted on a data thread and waiting for its channel.
struct VisitorRef {
  std::uint32_t thread = 0;
  std::uint64_t id = 0;  ///< unique within the relay process
  auto operator<=>(const VisitorRef&) const = default;
};

/// An accepted channel whose preface was read, waiting for control's decision.
using ChannelRef = Id<struct ChannelTag>;

/// Written by the data thread that owns the flow, read by anybody. Bytes as seen from the visitor.
struct FlowCounters {
  std::atomic<std::uint64_t> in_bytes{0};   ///< visitor -> target
  std::atomic<std::uint64_t> out_bytes{0};  ///< target -> visitor
};

/// All a data thread needs to start a flow.
struct FlowSpec {
  FlowId id;
  MappingId mapping;
  net::Endpoint visitor;
  net::Endpoint public_endpoint;
  SessionId session;
  std::uint8_t channel_kind = 0;  ///< NFR_PREFACE_OPEN or _POOL
  std::uint64_t channel_number = 0;
  SessionKeys keys;
  Leg leg = Leg::kPlain;
  bool stood_ready = false;  ///< the channel waited for its visitor: if it is broken by now, the visitor is not
  /// The visitor's first bytes may go along with START. They might reach the target even if the channel breaks before
  /// READY, so the visitor cannot be given another then: not for a channel that may have broken while it waited.
  bool early = false;
  Millis idle_timeout{0};
  std::shared_ptr<FlowCounters> counters;
};

/// Moves bytes. Answers: FlowBook::on_ready, on_refused, on_ended; on_channel_lost instead of a refusal where a channel
/// that stood ready broke before the agent answered: the visitor then waits as it did before start(). Of a channel
/// that was kept and broke: on_channel_gone.
class DataPlane {
 public:
  virtual ~DataPlane() = default;
  virtual void refuse(VisitorRef visitor) = 0;                                    ///< ends it by RST
  virtual void start(VisitorRef visitor, ChannelRef channel, FlowSpec spec) = 0;  ///< START, READY, then join both
  virtual void reject(ChannelRef channel) = 0;                                    ///< ends it by RST, without a word
  virtual void keep(ChannelRef channel) = 0;  ///< until start(), reject() or its own end
  virtual void cut(FlowId flow) = 0;          ///< RST to both ends
  /// How many visitors there may be at once, from their accept to the end of their flows; more wait to be accepted.
  virtual void set_visitors_max(std::size_t count) = 0;
};

/// Public ports. The holder keeps the listeners; visitors arrive as Relay::on_visitor(mapping).
class Ports {
 public:
  virtual ~Ports() = default;
  /// `done` is called exactly once, possibly before this returns; on an error none of the ports is open. Listeners that
  /// the holder has already are used again. Errors name the port and who has it.
  virtual void open(MappingId mapping, const PublicPorts& ports, std::function<void(Status)> done) = 0;
  virtual void close(MappingId mapping) = 0;
};

}  // namespace nfr::core
