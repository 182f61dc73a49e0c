// SPDX-License-Identifier: GPL-2.0-only
#include "control/agent_book.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace nfr::control {
namespace {

constexpr std::chrono::hours kTokenLife{24};

Error bad_token(std::string_view name, std::string_view why) {
  return {Code::kDenied,
          fmt::format("join line for '{}' {}; ask the relay's operator for another: nfctl agent rejoin {}",
                      escape(name, 64), why, escape(name, 64))};
}

}  // namespace

void AgentBook::load(const std::vector<core::AgentRecord>& records) {
  for (const core::AgentRecord& record : records) agents_[record.id] = record;
}

Result<AgentBook::Invitation> AgentBook::invite(core::AgentRecord record) {
  Invitation invitation;
  random_.fill(invitation.token);
  record.token_hash = crypto_.sha256(invitation.token);
  record.token_expires = clock_.wall() + kTokenLife;
  const auto id = store_.put_agent(record);
  if (!id) return id.error().context(fmt::format("storing agent {}", record.name));
  record.id = *id;
  agents_[record.id] = record;
  invitation.record = std::move(record);
  return invitation;
}

Result<AgentBook::Invitation> AgentBook::add(std::string_view name) {
  auto parsed = core::parse_agent_name(name);
  if (!parsed) return parsed.error();
  if (find(*parsed) != nullptr) {
    return Error(Code::kExists,
                 fmt::format("agent {} exists; for a new join line: nfctl agent rejoin {}", *parsed, *parsed));
  }
  core::AgentRecord record;
  record.name = *parsed;
  record.created = clock_.wall();
  return invite(std::move(record));
}

Result<AgentBook::Invitation> AgentBook::rejoin(std::string_view name) {
  auto record = need(name);
  if (!record) return record.error();
  record->revoked = false;
  return invite(std::move(*record));
}

Result<core::AgentRecord> AgentBook::revoke(std::string_view name) {
  auto record = need(name);
  if (!record) return record.error();
  record->revoked = true;
  record->key.reset();
  record->token_hash.reset();
  return keep(std::move(*record), "the revocation");
}

Result<core::AgentRecord> AgentBook::keep(core::AgentRecord record, std::string_view what) {
  const auto id = store_.put_agent(record);
  if (!id) return id.error().context(fmt::format("storing {} of {}", what, record.name));
  agents_[record.id] = record;
  return record;
}

Result<core::AgentRecord> AgentBook::set_rights(std::string_view name, core::Rights rights) {
  auto record = need(name);
  if (!record) return record.error();
  record->rights = std::move(rights);
  return keep(std::move(*record), "the rights");
}

Result<core::AgentRecord> AgentBook::rename(std::string_view from, std::string_view to) {
  auto record = need(from);
  if (!record) return record.error();
  auto name = core::parse_agent_name(to);
  if (!name) return name.error();
  if (*name == record->name) return record;
  if (find(*name) != nullptr) {
    return Error(Code::kExists, fmt::format("an agent named {} exists already; choose another name", *name));
  }
  record->name = std::move(*name);
  return keep(std::move(*record), "the new name");
}

Result<core::AgentRecord> AgentBook::remove(std::string_view name) {
  auto record = need(name);
  if (!record) return record.error();
  const Status removed = store_.remove_agent(record->id);
  if (!removed) return removed.error().context(fmt::format("removing agent {}", record->name));
  agents_.erase(record->id);
  return record;
}

Result<core::AgentRecord> AgentBook::enroll(std::string_view name, std::string_view token, const core::Pin& key) {
  const core::AgentRecord* known = find(name);
  // The comparison runs for unknown names too, so that timing does not tell which names exist.
  const core::Digest expected = known != nullptr && known->token_hash ? *known->token_hash : core::Digest{};
  const bool matches = crypto_.equal(crypto_.sha256(as_bytes(token)), expected);
  if (known == nullptr || !known->token_hash || !matches) return bad_token(name, "was used already or is not valid");
  if (clock_.wall() > known->token_expires) return bad_token(name, "has expired");
  core::AgentRecord record = *known;
  record.key = key;
  record.token_hash.reset();
  return keep(std::move(record), "the key");
}

Result<core::AgentRecord> AgentBook::need(std::string_view name) const {
  const core::AgentRecord* record = find(name);
  if (record != nullptr) return *record;
  return Error(Code::kNotFound,
               fmt::format("no agent is named '{}'; `nfctl agents` lists them, `nfctl agent add {}` makes one",
                           escape(name, 64), escape(name, 64)));
}

const core::AgentRecord* AgentBook::find(core::AgentId id) const {
  const auto found = agents_.find(id);
  return found != agents_.end() ? &found->second : nullptr;
}

const core::AgentRecord* AgentBook::find(std::string_view name) const {
  for (const auto& [id, record] : agents_) {
    if (record.name == name) return &record;
  }
  return nullptr;
}

const core::AgentRecord* AgentBook::find_key(const core::Pin& key) const {
  for (const auto& [id, record] : agents_) {
    if (record.key && *record.key == key) return &record;
  }
  return nullptr;
}

}  // namespace nfr::control
