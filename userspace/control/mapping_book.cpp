// SPDX-License-Identifier: GPL-2.0-only
#include "control/mapping_book.hpp"

#include <fmt/format.h>

#include <vector>

#include "base/log.hpp"
#include "base/text.hpp"

namespace nfr::control {
namespace {

constexpr std::chrono::seconds kPortRetry{5};

bool overlap(const net::Endpoint& a, const net::Endpoint& b) {
  return a.port == b.port && (a.address == b.address || a.address.is_wildcard() || b.address.is_wildcard());
}

}  // namespace

void MappingBook::load(const std::vector<core::Mapping>& mappings) {
  for (const core::Mapping& mapping : mappings) entries_[mapping.id] = Entry{mapping, {}, false, {}};
  for (const core::Mapping& mapping : mappings) open_port(mapping.id);
  next_retry_ = clock_.now() + kPortRetry;
}

void MappingBook::open_port(core::MappingId id) {
  Entry& entry = entries_.at(id);
  entry.opening = true;
  ports_.open(id, entry.mapping.public_endpoint, [this, id](const Status& opened) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;  // unmapped meanwhile
    Entry& opened_entry = found->second;
    opened_entry.opening = false;
    const std::string fault = opened ? "" : opened.error().message();
    if (!opened && fault != opened_entry.port_fault) {
      spdlog::error("mapping {}: {}", core::public_text(opened_entry.mapping.public_endpoint), fault);
    }
    opened_entry.port_fault = fault;
  });
}

void MappingBook::tick() {
  if (clock_.now() < next_retry_) return;
  next_retry_ = clock_.now() + kPortRetry;
  std::vector<core::MappingId> retry;
  for (const auto& [id, entry] : entries_) {
    if (!entry.port_fault.empty() && !entry.opening) retry.push_back(id);
  }
  for (const core::MappingId id : retry) open_port(id);
}

void MappingBook::add(const Request& request, std::function<void(Result<core::Mapping>)> done) {
  const core::AgentRecord* agent = agents_.find(request.agent);
  if (agent == nullptr) {
    return done(Error(Code::kNotFound, fmt::format("no agent is named '{}'; nfctl agent add {} makes one",
                                                   escape(request.agent, 64), escape(request.agent, 64))));
  }
  core::Mapping mapping{{},          request.public_endpoint, agent->id,    request.target,
                        request.leg, request.idle_timeout,    clock_.wall()};
  for (auto& [id, entry] : entries_) {
    if (!overlap(entry.mapping.public_endpoint, mapping.public_endpoint)) continue;
    const bool same = entry.mapping.public_endpoint == mapping.public_endpoint;
    if (same && entry.mapping.agent == agent->id) return replace(entry, mapping, done);
    const core::AgentRecord* owner = agents_.find(entry.mapping.agent);
    const std::string text = core::public_text(entry.mapping.public_endpoint);
    const auto age = std::chrono::duration_cast<Micros>(clock_.wall() - entry.mapping.created);
    return done(Error(Code::kExists,
                      fmt::format("port {} belongs to {} (-> {}, since {}). Free it: nfctl unmap {}", text, owner->name,
                                  entry.mapping.target.text(), human_duration(age), text.substr(0, text.find('/')))));
  }
  // The id comes from the store, so the port is opened under a stored mapping and taken back if that fails.
  const auto id = store_.put_mapping(mapping);
  if (!id)
    return done(id.error().context(fmt::format("storing mapping {}", core::public_text(mapping.public_endpoint))));
  mapping.id = *id;
  entries_[mapping.id] = Entry{mapping, {}, true, {}};
  ports_.open(mapping.id, mapping.public_endpoint,
              [this, mapping, done](const Status& opened) { finish_add(mapping, opened, done); });
}

void MappingBook::finish_add(core::Mapping mapping, const Status& opened,
                             const std::function<void(Result<core::Mapping>)>& done) {
  const auto found = entries_.find(mapping.id);
  if (found == entries_.end()) return done(Error(Code::kNotFound, "the mapping was removed while its port was opened"));
  if (opened) {
    found->second.opening = false;
    return done(mapping);
  }
  entries_.erase(found);
  const Status removed = store_.remove_mapping(mapping.id);
  if (!removed)
    spdlog::error("taking back mapping {}: {}", core::public_text(mapping.public_endpoint), removed.error().message());
  done(opened.error());
}

void MappingBook::replace(Entry& entry, core::Mapping mapping, const std::function<void(Result<core::Mapping>)>& done) {
  mapping.id = entry.mapping.id;
  mapping.created = entry.mapping.created;
  const auto stored = store_.put_mapping(mapping);
  if (!stored)
    return done(stored.error().context(fmt::format("storing mapping {}", core::public_text(mapping.public_endpoint))));
  entry.mapping = mapping;
  done(mapping);
}

Result<core::Mapping> MappingBook::remove(const net::Endpoint& public_endpoint) {
  Entry* entry = find_mutable(public_endpoint);
  if (entry == nullptr) {
    return Error(Code::kNotFound,
                 fmt::format("{} is not mapped; `nfctl maps` lists what is", core::public_text(public_endpoint)));
  }
  core::Mapping mapping = entry->mapping;
  const Status removed = store_.remove_mapping(mapping.id);
  if (!removed) return removed.error().context(fmt::format("removing mapping {}", core::public_text(public_endpoint)));
  ports_.close(mapping.id);
  entries_.erase(mapping.id);
  return mapping;
}

void MappingBook::drop_agent(core::AgentId agent) {
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

MappingBook::Entry* MappingBook::find_mutable(const net::Endpoint& public_endpoint) {
  for (auto& [id, entry] : entries_) {
    if (entry.mapping.public_endpoint == public_endpoint) return &entry;
  }
  return nullptr;
}

const MappingBook::Entry* MappingBook::find(const net::Endpoint& public_endpoint) const {
  return const_cast<MappingBook*>(this)->find_mutable(public_endpoint);
}

std::size_t MappingBook::count_of(core::AgentId agent) const {
  std::size_t count = 0;
  for (const auto& [id, entry] : entries_) count += entry.mapping.agent == agent ? 1 : 0;
  return count;
}

void MappingBook::fold(core::MappingId id, std::uint64_t in_bytes, std::uint64_t out_bytes) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  ++found->second.ended.flows;
  found->second.ended.in_bytes += in_bytes;
  found->second.ended.out_bytes += out_bytes;
}

}  // namespace nfr::control
