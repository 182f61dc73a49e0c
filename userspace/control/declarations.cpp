// SPDX-License-Identifier: GPL-2.0-only
#include "control/declarations.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/log.hpp"

namespace nfr::control {
namespace {

constexpr std::size_t kErrorMax = 500;  // of a message's text field

bool same_place(const proto::Wish& a, const proto::Wish& b) {
  if (a.ports.automatic() || b.ports.automatic()) return a.ports == b.ports && a.target == b.target;
  return a.ports == b.ports;
}

bool same_place(const proto::Wish& wish, const core::Mapping& mapping) {
  if (wish.ports.automatic()) return mapping.automatic && mapping.target == wish.target;
  return mapping.public_ports == wish.ports;
}

std::string rights_text(const core::Rights& rights) {
  std::vector<std::string> parts;
  for (const core::PortRange& range : rights.ports) parts.push_back(range.text());
  if (rights.automatic) parts.emplace_back("auto");
  return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, ","));
}

}  // namespace

struct Declarations::Job {
  core::AgentId agent;
  core::SessionId session;
  proto::Declare declare;
  std::vector<proto::Declared::Outcome> outcomes;
  std::size_t open = 0;
};

Status Declarations::judge_ports(const core::AgentRecord& agent, const core::PublicPorts& ports, bool automatic) const {
  const core::Rights& rights = agent.rights;
  if (automatic && rights.automatic) return {};
  const auto covered = [&](int port) {
    return std::any_of(rights.ports.begin(), rights.ports.end(), [&](const core::PortRange& range) {
      return range.contains(net::Port{static_cast<std::uint16_t>(port)});
    });
  };
  bool all = !automatic;
  for (int i = 0; all && i < ports.count; ++i) all = covered(ports.first.port.value + i);
  if (all) return {};
  return Error(Code::kDenied, fmt::format("{} is not among the ports this agent may ask for ({}); the relay's operator "
                                          "widens them with: nfctl agent set {} --ports LIST",
                                          automatic ? "auto" : ports.text(), rights_text(rights), agent.name));
}

const core::Mapping* Declarations::present(core::AgentId agent, const proto::Wish& wish) const {
  for (const auto& [id, entry] : mappings_.all()) {
    if (entry.mapping.agent == agent && same_place(wish, entry.mapping)) return &entry.mapping;
  }
  return nullptr;
}

Status Declarations::judge(const core::AgentRecord& agent, const std::vector<proto::Wish>& wishes,
                           std::size_t index) const {
  const proto::Wish& wish = wishes[index];
  if (auto status = judge_ports(agent, wish.ports, wish.ports.automatic()); !status) return status;
  for (std::size_t i = 0; i < index; ++i) {
    if (!same_place(wish, wishes[i])) continue;
    if (wishes[i] == wish) break;  // what the first of a place is told holds for its repetitions
    return Error(Code::kInvalid, fmt::format("{} -> {} is in the list twice, and not in the same way",
                                             wish.ports.text(), wish.target.text()));
  }
  const core::Mapping* there = present(agent.id, wish);
  if (there != nullptr && there->origin == core::Origin::kOperator) {
    return Error(Code::kExists, fmt::format("{} was mapped to this agent by the relay's operator (-> {})",
                                            there->public_ports.text(), there->target.text()));
  }
  if (there != nullptr || mappings_.count_of(agent.id, core::Origin::kAgent) < agent.rights.mappings_max) return {};
  return Error(Code::kDenied,
               fmt::format("this agent may make {} mapping(s) by itself (nfctl agent set {} --max-mappings N)",
                           agent.rights.mappings_max, agent.name));
}

bool Declarations::admits(Pace& pace) const {
  pace.paid_until = std::max(pace.paid_until, clock_.now());
  return pace.paid_until - clock_.now() <= kPace * (kBurst - 1);
}

void Declarations::charge(Pace& pace, core::AgentId agent, const proto::Declare& declare) const {
  pace.paid_until += kPace * (1 + changes(agent, declare.wishes) / kChanges);
}

/// How many mappings a list makes, changes or ends.
std::size_t Declarations::changes(core::AgentId agent, const std::vector<proto::Wish>& wishes) const {
  std::size_t kept = 0;
  std::size_t fresh = 0;
  for (const proto::Wish& wish : wishes) {
    const core::Mapping* there = present(agent, wish);
    const bool same =
        there != nullptr && there->target == wish.target && there->leg == wish.leg && there->proxy == wish.proxy;
    ++(same ? kept : fresh);
  }
  const std::size_t before = mappings_.count_of(agent, core::Origin::kAgent);
  return fresh + (before > kept ? before - kept : 0);
}

void Declarations::on_declare(const SessionBook::Session& session, const proto::Declare& declare) {
  Pace& pace = paces_[session.agent];
  pace.held.reset();
  if (!admits(pace)) {
    pace.held.emplace(session.id, declare);
    return;
  }
  charge(pace, session.agent, declare);
  carry_out(session.agent, session.id, declare);
}

void Declarations::tick() {
  for (auto next = paces_.begin(); next != paces_.end();) {
    const auto current = next++;
    auto& [agent, pace] = *current;
    if (!pace.held) {
      if (pace.paid_until <= clock_.now()) paces_.erase(current);
      continue;
    }
    const auto* session = sessions_.active(agent);
    if (session == nullptr || session->id != pace.held->first) {
      pace.held.reset();
      continue;
    }
    if (!admits(pace)) continue;
    const auto held = *std::exchange(pace.held, std::nullopt);
    charge(pace, agent, held.second);
    carry_out(agent, held.first, held.second);
  }
}

void Declarations::carry_out(core::AgentId agent, core::SessionId session, const proto::Declare& declare) {
  auto job = std::make_shared<Job>();
  job->agent = agent;
  job->session = session;
  job->declare = declare;
  job->outcomes.resize(declare.wishes.size());
  job->open = declare.wishes.size();
  last_[agent] = Last{session, declare, {}};
  withdraw_others(agent, declare.wishes);
  if (job->open == 0) {
    sessions_.send(agent, proto::Declared{declare.serial, {}});
    return;
  }
  for (std::size_t i = 0; i < declare.wishes.size(); ++i) try_wish(job, i);
}

void Declarations::withdraw_others(core::AgentId agent, const std::vector<proto::Wish>& wishes) {
  std::vector<core::Mapping> gone;
  for (const auto& [id, entry] : mappings_.all()) {
    const core::Mapping& mapping = entry.mapping;
    if (mapping.agent != agent || mapping.origin != core::Origin::kAgent) continue;
    const bool wished =
        std::any_of(wishes.begin(), wishes.end(), [&](const proto::Wish& wish) { return same_place(wish, mapping); });
    if (!wished) gone.push_back(mapping);
  }
  for (const core::Mapping& mapping : gone) withdraw(mapping, "no longer declared");
}

void Declarations::withdraw(const core::Mapping& mapping, std::string_view why) {
  const auto removed = mappings_.remove(mapping.public_ports);
  const core::AgentRecord* agent = agents_.find(mapping.agent);
  if (!removed)
    return spdlog::error("mapping {} of {}: {}", mapping.public_ports.text(), agent->name, removed.error().message());
  observer_.on_withdrawn(*agent, mapping, why);
}

void Declarations::try_wish(const std::shared_ptr<Job>& job, std::size_t index) {
  const proto::Wish& wish = job->declare.wishes[index];
  const core::AgentRecord* agent = agents_.find(job->agent);
  const core::Mapping* there = present(job->agent, wish);
  const bool known = there != nullptr;
  const Status allowed = judge(*agent, job->declare.wishes, index);
  if (!allowed) return settle(job, index, allowed.error(), false);
  MappingBook::Request request{agent->name, {}};
  request.mapping.public_ports = wish.ports;
  request.mapping.target = wish.target;
  request.mapping.leg = wish.leg;
  request.mapping.proxy = wish.proxy;
  request.mapping.origin = core::Origin::kAgent;
  if (known) {
    // What the operator has set on it since stays.
    request.mapping.admission = there->admission;
    request.mapping.idle_timeout = there->idle_timeout;
    request.mapping.expires = there->expires;
  }
  mappings_.add(request,
                [this, job, index, known](Result<core::Mapping> result) { settle(job, index, result, !known); });
}

void Declarations::settle(const std::shared_ptr<Job>& job, std::size_t index, const Result<core::Mapping>& result,
                          bool is_new) {
  proto::Declared::Outcome& outcome = job->outcomes[index];
  const MappingBook::Entry* entry = result ? mappings_.find(result->id) : nullptr;
  if (entry != nullptr && !entry->port_fault.empty()) {
    outcome.error =
        fmt::format("{} is not open: {}", result->public_ports.text(), entry->port_fault).substr(0, kErrorMax);
  } else if (result) {
    outcome.address = observer_.address_of(result->public_ports);
    const core::AgentRecord* agent = agents_.find(job->agent);
    if (is_new && agent != nullptr) observer_.on_declared(*agent, *result);
  } else {
    outcome.error = result.error().message().substr(0, kErrorMax);
  }
  if (--job->open > 0) return;
  const SessionBook::Session* session = sessions_.active(job->agent);
  if (session == nullptr || session->id != job->session) return;  // its successor declares anew
  Last& last = last_[job->agent];
  if (last.session == job->session && last.declare.serial == job->declare.serial) last.outcomes = job->outcomes;
  sessions_.send(job->agent, proto::Declared{job->declare.serial, job->outcomes});
}

std::size_t Declarations::enforce(core::AgentId agent) {
  const std::size_t withdrawn = withdraw_uncovered(*agents_.find(agent));
  const SessionBook::Session* session = sessions_.active(agent);
  const auto last = last_.find(agent);
  if (session != nullptr && last != last_.end() && last->second.session == session->id) {
    carry_out(agent, session->id, proto::Declare(last->second.declare));
  }
  return withdrawn;
}

std::size_t Declarations::withdraw_uncovered(const core::AgentRecord& record) {
  std::vector<core::Mapping> gone;
  std::size_t kept = 0;
  for (const auto& [id, entry] : mappings_.all()) {
    const core::Mapping& mapping = entry.mapping;
    if (mapping.agent != record.id || mapping.origin != core::Origin::kAgent) continue;
    const bool allowed = judge_ports(record, mapping.public_ports, mapping.automatic).ok();
    if (allowed && kept < record.rights.mappings_max) {
      ++kept;
    } else {
      gone.push_back(mapping);
    }
  }
  for (const core::Mapping& mapping : gone) withdraw(mapping, "outside the agent's rights");
  return gone.size();
}

void Declarations::on_taken_back(const core::Mapping& mapping) {
  const SessionBook::Session* session = sessions_.active(mapping.agent);
  const auto found = last_.find(mapping.agent);
  if (session == nullptr || found == last_.end() || found->second.session != session->id) return;
  Last& last = found->second;
  if (last.outcomes.size() != last.declare.wishes.size()) return;  // the answer is still to come
  for (std::size_t i = 0; i < last.outcomes.size(); ++i) {
    if (!same_place(last.declare.wishes[i], mapping)) continue;
    last.outcomes[i] = {"", fmt::format("{} was taken back by the relay's operator", mapping.public_ports.text())};
  }
  sessions_.send(mapping.agent, proto::Declared{last.declare.serial, last.outcomes});
}

}  // namespace nfr::control
