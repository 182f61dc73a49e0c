// SPDX-License-Identifier: GPL-2.0-only
#include "control/mapping_book.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/log.hpp"
#include "base/text.hpp"

namespace nfr::control {
namespace {

constexpr std::chrono::seconds kPortRetry{5};
constexpr unsigned kAutomaticAttempts = 32;  // ports of the range that other programs have

/// As typed: "8888", without the protocol.
std::string typed(const core::PublicPorts& ports) {
  const std::string text = ports.text();
  return text.substr(0, text.rfind('/'));
}

}  // namespace

void MappingBook::load(const core::StateStore::State& state) {
  for (const core::Mapping& mapping : state.mappings) entries_[mapping.id] = Entry{mapping, {}, false, {}};
  for (const core::Mapping& mapping : state.mappings) open_ports(mapping.id);
  chooser_.load(state.memories);
  next_retry_ = clock_.now() + kPortRetry;
}

void MappingBook::open_ports(core::MappingId id) {
  Entry& entry = entries_.at(id);
  entry.opening = true;
  ports_.open(id, entry.mapping.public_ports, [this, id](const Status& opened) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return tell_waiting(id, opened);  // unmapped meanwhile
    Entry& opened_entry = found->second;
    opened_entry.opening = false;
    const std::string fault = opened ? "" : opened.error().message();
    if (!opened && fault != opened_entry.port_fault) {
      spdlog::error("mapping {}: {}", opened_entry.mapping.public_ports.text(), fault);
    }
    opened_entry.port_fault = fault;
    tell_waiting(id, opened);
  });
}

void MappingBook::tell_waiting(core::MappingId id, const Status& opened) {
  const auto [begin, end] = waiting_.equal_range(id);
  std::vector<std::function<void(const Status&)>> waiting;
  for (auto each = begin; each != end; ++each) waiting.push_back(std::move(each->second));
  waiting_.erase(begin, end);
  const Status gone = Error(Code::kNotFound, "the mapping was removed while its port was opened");
  for (const auto& tell : waiting) tell(opened && !entries_.contains(id) ? gone : opened);
}

void MappingBook::tick() {
  std::vector<core::MappingId> expired;
  for (const auto& [id, entry] : entries_) {
    if (entry.mapping.expires && clock_.wall() >= *entry.mapping.expires) expired.push_back(id);
  }
  for (const core::MappingId id : expired) expire(id);
  if (clock_.now() < next_retry_) return;
  next_retry_ = clock_.now() + kPortRetry;
  std::vector<core::MappingId> retry;
  for (const auto& [id, entry] : entries_) {
    if (!entry.port_fault.empty() && !entry.opening) retry.push_back(id);
  }
  for (const core::MappingId id : retry) open_ports(id);
  std::erase_if(leftovers_, [this](core::MappingId id) { return store_.remove_mapping(id).ok(); });
}

void MappingBook::expire(core::MappingId id) {
  const auto found = entries_.find(id);
  const core::Mapping mapping = found->second.mapping;
  const Status removed = store_.remove_mapping(id);
  if (!removed) {
    // Closed all the same.
    spdlog::error("mapping {} has expired: {}", mapping.public_ports.text(), removed.error().message());
    leftovers_.push_back(id);
  }
  ports_.close(id);
  entries_.erase(found);
  if (on_expired) on_expired(mapping);
}

Error MappingBook::belongs_to(const Entry& entry) const {
  const core::AgentRecord* owner = agents_.find(entry.mapping.agent);
  const auto age = std::chrono::duration_cast<Micros>(clock_.wall() - entry.mapping.created);
  return {Code::kExists, fmt::format("port {} belongs to {} (-> {}, since {}). Free it: nfctl unmap {}",
                                     typed(entry.mapping.public_ports), owner->name, entry.mapping.target.text(),
                                     human_duration(std::max(age, Micros{0})), typed(entry.mapping.public_ports))};
}

const MappingBook::Entry* MappingBook::overlapping(const core::PublicPorts& ports) const {
  for (const auto& [id, entry] : entries_) {
    if (entry.mapping.public_ports.overlaps(ports)) return &entry;
  }
  return nullptr;
}

const MappingBook::Entry* MappingBook::automatic_of(core::AgentId agent, const core::Target& target) const {
  for (const auto& [id, entry] : entries_) {
    const core::Mapping& mapping = entry.mapping;
    if (mapping.automatic && mapping.agent == agent && mapping.target == target) return &entry;
  }
  return nullptr;
}

Result<core::Mapping> MappingBook::complete(const Request& request) const {
  const core::AgentRecord* agent = agents_.find(request.agent);
  if (agent == nullptr) {
    return Error(Code::kNotFound, fmt::format("no agent is named '{}'; nfctl agent add {} makes one",
                                              escape(request.agent, 64), escape(request.agent, 64)));
  }
  core::Mapping mapping = request.mapping;
  mapping.agent = agent->id;
  mapping.automatic = mapping.public_ports.automatic();
  const std::uint16_t count = mapping.automatic ? 1 : mapping.public_ports.count;
  if (mapping.target.port_count != count) {
    return Error(Code::kInvalid,
                 fmt::format("{} has {} port(s) and {} has {}; both ranges must have the same length",
                             mapping.public_ports.text(), count, mapping.target.text(), mapping.target.port_count));
  }
  if (mapping.expires && *mapping.expires <= clock_.wall()) {
    return Error(Code::kInvalid, fmt::format("{} would have ended already", mapping.public_ports.text()));
  }
  return mapping;
}

void MappingBook::add(const Request& request, const Done& done) {
  auto completed = complete(request);
  if (!completed) return done(completed.error());
  core::Mapping mapping = std::move(*completed);
  mapping.created = clock_.wall();
  if (!mapping.automatic) {
    const Entry* other = overlapping(mapping.public_ports);
    const bool own = other != nullptr && other->mapping.public_ports == mapping.public_ports &&
                     other->mapping.agent == mapping.agent;
    if (other != nullptr && !own) return done(belongs_to(*other));
    return add_at(std::move(mapping), done);
  }
  if (const Entry* same = automatic_of(mapping.agent, mapping.target)) {
    mapping.public_ports = same->mapping.public_ports;
    // Its port may turn out to be another program's; then whoever made it tries the next, and so does this one.
    return replace(entries_.at(same->mapping.id), std::move(mapping), [this, request, done](Result<core::Mapping> got) {
      if (!got && got.error().code() == Code::kExists) return add(request, done);
      done(std::move(got));
    });
  }
  add_automatic(std::move(mapping), kAutomaticAttempts, done);
}

void MappingBook::add_at(core::Mapping mapping, const Done& done) {
  if (const Entry* own = find(mapping.public_ports)) {
    return replace(entries_.at(own->mapping.id), std::move(mapping), done);
  }
  // The id comes from the store, so the ports are opened under a stored mapping and taken back if that fails.
  const auto id = store_.put_mapping(mapping);
  if (!id) return done(id.error().context(fmt::format("storing mapping {}", mapping.public_ports.text())));
  mapping.id = *id;
  entries_[mapping.id] = Entry{mapping, {}, true, {}};
  ports_.open(mapping.id, mapping.public_ports,
              [this, mapping, done](const Status& opened) { finish_add(mapping, opened, done); });
}

// A port of the range may be another program's: the next one is tried, and what was found is remembered.
void MappingBook::add_automatic(core::Mapping mapping, unsigned attempts_left, const Done& done) {
  const auto taken = [&](net::Port port) { return overlapping({{{}, port}, 1}) != nullptr; };
  const std::string target = mapping.target.text();
  const auto port = chooser_.choose(mapping.agent, agents_.find(mapping.agent)->name, target, taken);
  if (!port || attempts_left == 0) {
    return done(Error(Code::kExhausted, fmt::format("no port from {} to {} is free; name one, or unmap some",
                                                    PortChooser::kLow, PortChooser::kHigh)));
  }
  mapping.public_ports.first.port = *port;
  add_at(mapping, [this, mapping, attempts_left, target, done](Result<core::Mapping> added) {
    const bool next = !added && added.error().code() == Code::kExists && agents_.find(mapping.agent) != nullptr;
    const net::Port used = mapping.public_ports.first.port;
    if (!added && !next) return done(added.error());
    if (!next) {
      remember(mapping);
      return done(std::move(added));
    }
    chooser_.remember({mapping.agent, target, PortChooser::after(used)});
    add_automatic(mapping, attempts_left - 1, done);
  });
}

void MappingBook::remember(const core::Mapping& automatic) {
  const core::PortMemory memory{automatic.agent, automatic.target.text(), automatic.public_ports.first.port};
  chooser_.remember(memory);
  if (const Status kept = store_.remember_port(memory); !kept) {
    spdlog::warn("port {} may not be the same after a restart: {}", memory.port.value, kept.error().message());
  }
}

void MappingBook::finish_add(const core::Mapping& mapping, const Status& opened, const Done& done) {
  const auto found = entries_.find(mapping.id);
  if (found == entries_.end()) {
    tell_waiting(mapping.id, opened);
    return done(Error(Code::kNotFound, "the mapping was removed while its port was opened"));
  }
  if (opened) {
    found->second.opening = false;
    done(found->second.mapping);
    return tell_waiting(mapping.id, opened);
  }
  entries_.erase(found);
  const Status removed = store_.remove_mapping(mapping.id);
  if (!removed) {
    spdlog::error("taking back mapping {}: {}", mapping.public_ports.text(), removed.error().message());
    leftovers_.push_back(mapping.id);
  }
  done(opened.error());
  tell_waiting(mapping.id, opened);
}

void MappingBook::replace(Entry& entry, core::Mapping mapping, const Done& done) {
  mapping.id = entry.mapping.id;
  mapping.created = entry.mapping.created;
  mapping.automatic = entry.mapping.automatic;
  if (mapping != entry.mapping) {
    const auto stored = store_.put_mapping(mapping);
    if (!stored) return done(stored.error().context(fmt::format("storing mapping {}", mapping.public_ports.text())));
    entry.mapping = mapping;
  }
  // An operator who asks again wants the port tried again; an agent is told what is wrong with it.
  const bool try_again = !entry.port_fault.empty() && mapping.origin == core::Origin::kOperator;
  if (!entry.opening && !try_again) return done(mapping);
  // Whether this mapping holds is not known yet: not to be promised to a second one who asks either.
  waiting_.emplace(mapping.id, [mapping, done](const Status& opened) {
    if (!opened) return done(opened.error());
    done(mapping);
  });
  if (!entry.opening) open_ports(mapping.id);
}

Result<core::MappingId> MappingBook::need(const core::PublicPorts& ports) const {
  if (const Entry* entry = find(ports)) return entry->mapping.id;
  const Entry* around = ports.automatic() ? nullptr : overlapping(ports);
  if (around != nullptr) {
    return Error(Code::kNotFound, fmt::format("{} is not mapped by itself, it is in {}; name that whole", typed(ports),
                                              typed(around->mapping.public_ports)));
  }
  return Error(Code::kNotFound, fmt::format("{} is not mapped; `nfctl maps` lists what is", typed(ports)));
}

Result<core::Mapping> MappingBook::remove(const core::PublicPorts& ports) {
  const auto id = need(ports);
  if (!id) return id.error();
  core::Mapping mapping = entries_.at(*id).mapping;
  const Status removed = store_.remove_mapping(mapping.id);
  if (!removed) return removed.error().context(fmt::format("removing mapping {}", mapping.public_ports.text()));
  ports_.close(mapping.id);
  entries_.erase(mapping.id);
  return mapping;
}

Result<core::Mapping> MappingBook::set_admission(const core::PublicPorts& ports, core::Admission admission) {
  const auto id = need(ports);
  if (!id) return id.error();
  core::Mapping mapping = entries_.at(*id).mapping;
  mapping.admission = std::move(admission);
  const auto stored = store_.put_mapping(mapping);
  if (!stored) return stored.error().context(fmt::format("storing mapping {}", mapping.public_ports.text()));
  entries_.at(*id).mapping = mapping;
  return mapping;
}

void MappingBook::drop_agent(core::AgentId agent) {
  chooser_.forget(agent);
  std::erase_if(entries_, [&](const auto& item) {
    if (item.second.mapping.agent != agent) return false;
    ports_.close(item.first);
    return true;
  });
}

const MappingBook::Entry* MappingBook::find(core::MappingId id) const {
  const auto found = entries_.find(id);
  return found != entries_.end() ? &found->second : nullptr;
}

const MappingBook::Entry* MappingBook::find(const core::PublicPorts& ports) const {
  for (const auto& [id, entry] : entries_) {
    if (entry.mapping.public_ports == ports) return &entry;
  }
  return nullptr;
}

std::size_t MappingBook::count_of(core::AgentId agent) const {
  return static_cast<std::size_t>(std::count_if(entries_.begin(), entries_.end(),
                                                [&](const auto& item) { return item.second.mapping.agent == agent; }));
}

std::size_t MappingBook::count_of(core::AgentId agent, core::Origin origin) const {
  return static_cast<std::size_t>(std::count_if(entries_.begin(), entries_.end(), [&](const auto& item) {
    return item.second.mapping.agent == agent && item.second.mapping.origin == origin;
  }));
}

void MappingBook::fold(core::MappingId id, std::uint64_t in_bytes, std::uint64_t out_bytes) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  ++found->second.ended.flows;
  found->second.ended.in_bytes += in_bytes;
  found->second.ended.out_bytes += out_bytes;
}

}  // namespace nfr::control
