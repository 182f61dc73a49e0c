// SPDX-License-Identifier: GPL-2.0-only
// MappingBook::change(): several mappings at once, all or nothing: the store in one transaction, then the ports; a port
// that cannot be opened takes everything back.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/log.hpp"
#include "control/mapping_book.hpp"

namespace nfr::control {

struct MappingBook::Change {
  std::vector<core::Mapping> removed;  ///< as they were
  std::vector<core::Mapping> before;   ///< of those changed
  std::vector<core::Mapping> after;    ///< the same ones
  std::vector<core::MappingId> added;
  std::set<core::MappingId> failed;  ///< of those added
  std::size_t opening = 0;
  std::optional<Error> failure;
  std::function<void(Status)> done;
};

void MappingBook::change(const std::vector<core::MappingId>& remove, std::vector<core::Mapping> put,
                         std::function<void(Status)> done) {
  auto change = std::make_shared<Change>();
  change->done = std::move(done);
  const WallTime now = clock_.wall();
  for (core::Mapping& mapping : put) {
    if (!mapping.id) mapping.created = now;
    if (mapping.public_ports.automatic()) {
      if (const Status chosen = choose_port(mapping, put); !chosen) return change->done(chosen);
    }
  }
  const auto ids = store_.change_mappings(remove, put);
  if (!ids) return change->done(ids.error().context("storing the mappings"));
  for (const core::MappingId id : remove) {
    change->removed.push_back(entries_.at(id).mapping);
    ports_.close(id);
    entries_.erase(id);
  }
  for (std::size_t i = 0; i < put.size(); ++i) {
    if (put[i].id) {
      change->before.push_back(entries_.at(put[i].id).mapping);
      change->after.push_back(put[i]);
      entries_.at(put[i].id).mapping = put[i];
      continue;
    }
    put[i].id = (*ids)[i];
    change->added.push_back(put[i].id);
    entries_[put[i].id] = Entry{put[i], {}, true, {}};
  }
  open_added(change);
}

Status MappingBook::choose_port(core::Mapping& mapping, const std::vector<core::Mapping>& beside) const {
  const auto taken = [&](net::Port port) {
    const core::PublicPorts ports{{{}, port}, 1};
    const bool planned = std::any_of(beside.begin(), beside.end(), [&](const core::Mapping& other) {
      return !other.public_ports.automatic() && other.public_ports.overlaps(ports);
    });
    return planned || overlapping(ports) != nullptr;
  };
  const auto port = chooser_.choose(mapping.agent, agents_.find(mapping.agent)->name, mapping.target.text(), taken);
  if (!port) return Error(Code::kExhausted, "no port is left to choose from; name one, or unmap some");
  mapping.public_ports.first.port = *port;
  return {};
}

void MappingBook::open_added(const std::shared_ptr<Change>& change) {
  change->opening = change->added.size() + 1;
  const auto one_less = [this, change] {
    if (--change->opening > 0) return;
    if (change->failure) return take_back(*change);
    for (const core::MappingId id : change->added) {
      const auto found = entries_.find(id);
      if (found != entries_.end() && found->second.mapping.automatic) remember(found->second.mapping);
    }
    change->done({});
  };
  for (const core::MappingId id : std::vector<core::MappingId>(change->added)) {
    ports_.open(id, entries_.at(id).mapping.public_ports, [this, id, change, one_less](const Status& opened) {
      const auto found = entries_.find(id);
      if (found != entries_.end()) found->second.opening = false;
      if (!opened) note_failure(*change, id, opened.error());
      one_less();
      tell_waiting(id, opened);
    });
  }
  one_less();
}

void MappingBook::note_failure(Change& change, core::MappingId id, const Error& error) {
  change.failed.insert(id);
  if (!change.failure) change.failure = error;
  const auto found = entries_.find(id);
  if (found == entries_.end() || !found->second.mapping.automatic || error.code() != Code::kExists) return;
  // Another program's port: the next attempt begins behind it.
  const core::Mapping& mapping = found->second.mapping;
  chooser_.remember({mapping.agent, mapping.target.text(), PortChooser::after(mapping.public_ports.first.port)});
}

/// What is to be put back: all that was there before, but for what somebody changed, removed or took meanwhile.
std::vector<core::Mapping> MappingBook::what_was(const Change& change) const {
  std::vector<core::Mapping> put;
  for (std::size_t i = 0; i < change.before.size(); ++i) {
    const auto found = entries_.find(change.before[i].id);
    if (found != entries_.end() && found->second.mapping == change.after[i]) put.push_back(change.before[i]);
  }
  for (core::Mapping mapping : change.removed) {
    const bool taken = std::any_of(entries_.begin(), entries_.end(), [&](const auto& item) {
      const bool goes = std::find(change.added.begin(), change.added.end(), item.first) != change.added.end();
      return !goes && item.second.mapping.public_ports.overlaps(mapping.public_ports);
    });
    if (taken || agents_.find(mapping.agent) == nullptr) continue;
    mapping.id = {};  // an id is never given twice
    put.push_back(std::move(mapping));
  }
  return put;
}

void MappingBook::take_back(Change& change) {
  std::vector<core::Mapping> put = what_was(change);
  std::erase_if(change.added, [&](core::MappingId id) { return !entries_.contains(id); });
  const auto ids = store_.change_mappings(change.added, put);
  if (!ids) {
    // Both the change and its way back failed: what is in the store is what holds; its ports are tried again.
    const Error both = ids.error().context(change.failure->message() + "; and taking the change back");
    for (const core::MappingId id : change.failed) {
      if (entries_.contains(id)) entries_.at(id).port_fault = change.failure->message();
    }
    return change.done(both);
  }
  for (const core::MappingId id : change.added) {
    ports_.close(id);
    entries_.erase(id);
  }
  for (std::size_t i = 0; i < put.size(); ++i) {
    const bool is_new = !put[i].id;
    put[i].id = (*ids)[i];
    if (is_new) {
      entries_[put[i].id] = Entry{put[i], {}, false, {}};
      open_ports(put[i].id);
    } else if (entries_.contains(put[i].id)) {
      entries_.at(put[i].id).mapping = put[i];
    }
  }
  change.done(*change.failure);
}

}  // namespace nfr::control
