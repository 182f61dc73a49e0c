// SPDX-License-Identifier: GPL-2.0-only
// Ground of the simulated world: a clock that only the world moves, randomness from a seed, a queue of events in
// time order, and stand-ins for crypto, store, keys and ports. Used by tests/unit/control; one thread.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "core/seams.hpp"

namespace nfr::sim {

class SimClock final : public Clock {
 public:
  Instant now() const override { return now_; }
  WallTime wall() const override {
    return wall_base_ + std::chrono::duration_cast<WallTime::duration>(now_.time_since_epoch());
  }
  void advance_to(Instant when) { now_ = std::max(now_, when); }
  void jump_wall(std::chrono::hours by) { wall_base_ += by; }

 private:
  Instant now_{std::chrono::hours(1)};
  WallTime wall_base_{std::chrono::hours(24 * 20000)};
};

/// splitmix64: the same seed gives the same world.
class SimRandom final : public Random {
 public:
  explicit SimRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  void fill(std::span<std::byte> out) override {
    for (std::byte& byte : out) byte = static_cast<std::byte>(next() & 0xFFU);
  }
  bool chance(unsigned percent) { return next() % 100 < percent; }

 private:
  std::uint64_t state_;
};

/// Events in time order; equal times in the order of their making.
class SimQueue {
 public:
  explicit SimQueue(SimClock& clock) : clock_(clock) {}
  void after(Micros delay, std::function<void()> event) {
    events_.emplace(std::pair(clock_.now() + delay, ++made_), std::move(event));
  }
  void run_until(Instant end) {
    while (!events_.empty() && events_.begin()->first.first <= end) {
      auto node = events_.extract(events_.begin());
      clock_.advance_to(node.key().first);
      node.mapped()();
    }
    clock_.advance_to(end);
  }

 private:
  SimClock& clock_;
  std::uint64_t made_ = 0;
  std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> events_;
};

/// Collision-poor mixing in place of SHA-256: the policy needs equal inputs to match and others not to.
class SimCrypto final : public core::Crypto {
 public:
  core::Digest sha256(std::span<const std::byte> data) const override { return mix(0x5A5A, data); }
  core::Digest hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> data) const override {
    const core::Digest inner = mix(0x3636, key);
    std::uint64_t seed = 0;
    std::memcpy(&seed, inner.data(), sizeof seed);
    return mix(seed, data);
  }
  bool equal(std::span<const std::byte> a, std::span<const std::byte> b) const override {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
  }

 private:
  static core::Digest mix(std::uint64_t seed, std::span<const std::byte> data) {
    std::uint64_t sum = 14695981039346656037U ^ seed;
    for (const std::byte byte : data) sum = (sum ^ std::to_integer<std::uint64_t>(byte)) * 1099511628211U;
    SimRandom random(sum);
    core::Digest out;
    random.fill(out);
    return out;
  }
};

/// Durable across relay restarts; can be told to fail the next writes.
class SimStore final : public core::StateStore {
 public:
  unsigned fail_writes = 0;
  std::uint64_t write_count = 0;  ///< commits asked for
  std::map<core::AgentId, core::AgentRecord> agents;
  std::map<core::MappingId, core::Mapping> mappings;
  std::vector<core::PortMemory> memories;

  Result<State> load() override {
    State state;
    for (const auto& [id, agent] : agents) state.agents.push_back(agent);
    for (const auto& [id, mapping] : mappings) state.mappings.push_back(mapping);
    state.memories = memories;
    return state;
  }
  Result<std::vector<core::MappingId>> change_mappings(const std::vector<core::MappingId>& remove,
                                                       const std::vector<core::Mapping>& put) override {
    if (const Status ready = writable(); !ready) return ready.error();
    for (const core::MappingId id : remove) mappings.erase(id);
    std::vector<core::MappingId> ids;
    for (core::Mapping mapping : put) {
      if (!mapping.id) mapping.id = core::MappingId{++last_};
      mappings[mapping.id] = mapping;
      ids.push_back(mapping.id);
    }
    return ids;
  }
  Status remember_port(const core::PortMemory& memory) override {
    if (const Status ready = writable(); !ready) return ready;
    std::erase_if(memories, [&](const auto& old) { return old.agent == memory.agent && old.target == memory.target; });
    memories.push_back(memory);
    return {};
  }
  Result<core::AgentId> put_agent(const core::AgentRecord& record) override {
    if (const Status ready = writable(); !ready) return ready.error();
    core::AgentRecord kept = record;
    if (!kept.id) kept.id = core::AgentId{++last_};
    agents[kept.id] = kept;
    return kept.id;
  }
  Status remove_agent(core::AgentId id) override {
    if (const Status ready = writable(); !ready) return ready;
    agents.erase(id);
    std::erase_if(mappings, [&](const auto& item) { return item.second.agent == id; });
    std::erase_if(memories, [&](const auto& memory) { return memory.agent == id; });
    return {};
  }
  Result<core::MappingId> put_mapping(const core::Mapping& mapping) override {
    if (const Status ready = writable(); !ready) return ready.error();
    core::Mapping kept = mapping;
    if (!kept.id) kept.id = core::MappingId{++last_};
    mappings[kept.id] = kept;
    return kept.id;
  }
  Status remove_mapping(core::MappingId id) override {
    if (const Status ready = writable(); !ready) return ready;
    mappings.erase(id);
    return {};
  }

 private:
  Status writable() {
    ++write_count;
    if (fail_writes == 0) return {};
    --fail_writes;
    return Error(Code::kExhausted, "disk full (injected)");
  }
  std::uint64_t last_ = 0;
};

class SimKeys final : public core::RelayKeys {
 public:
  explicit SimKeys(Random& random) : random_(random) {
    for (auto& pin : pins_) random_.fill(pin);
  }
  std::array<core::Pin, 2> pins() const override { return pins_; }
  Status rotate() override {
    pins_[0] = pins_[1];
    random_.fill(pins_[1]);
    return {};
  }

 private:
  Random& random_;
  std::array<core::Pin, 2> pins_{};
};

/// The holder: answers a little later, keeps nothing across a relay restart but its own word.
class SimPorts final : public core::Ports {
 public:
  explicit SimPorts(SimQueue& queue) : queue_(queue) {}
  std::set<core::MappingId> open_now;
  std::set<net::Endpoint> taken;  ///< by other programs

  void open(core::MappingId mapping, const core::PublicPorts& ports, std::function<void(Status)> done) override {
    const std::weak_ptr<int> alive = alive_;
    queue_.after(Micros(300), [this, alive, mapping, ports, done = std::move(done)] {
      if (alive.expired()) return;
      bool free = true;
      for (std::uint16_t i = 0; i < ports.count; ++i) free = free && !taken.contains(ports.nth(i));
      if (!free) return done(Error(Code::kExists, "port is in use by nginx (pid 812)"));
      open_now.insert(mapping);
      done({});
      if (closed_.contains(mapping)) open_now.erase(mapping);
    });
  }
  void close(core::MappingId mapping) override {
    closed_.insert(mapping);
    open_now.erase(mapping);
  }

 private:
  SimQueue& queue_;
  std::set<core::MappingId> closed_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace nfr::sim
