// SPDX-License-Identifier: GPL-2.0-only
#include "control/session_book.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/log.hpp"
#include "base/text.hpp"

namespace nfr::control {
namespace {

constexpr std::chrono::minutes kContestWindow{1};
constexpr std::size_t kTakeoversBeforeContest = 2;
constexpr int kMissedHeartbeats = 3;

}  // namespace

void SessionBook::on_link(core::LinkId id, core::AgentLink& link, core::PeerIdentity peer) {
  Session session;
  session.link_id = id;
  session.link = &link;
  session.peer = std::move(peer);
  session.last_heard = session.last_ping = clock_.now();
  sessions_.emplace(id, std::move(session));
}

void SessionBook::on_message(core::LinkId id, std::string_view payload) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second.closing) return;
  Session& session = found->second;
  session.last_heard = clock_.now();
  const auto message = proto::decode(payload);
  if (!message) return hang_up(session, proto::ByeCode::kProtocol, message.error().message());
  if (!session.id) {
    const auto* hello = std::get_if<proto::Hello>(&*message);
    if (hello == nullptr) return hang_up(session, proto::ByeCode::kProtocol, "the first message must be hello");
    return login(session, *hello);
  }
  if (const auto* ping = std::get_if<proto::Ping>(&*message))
    return session.link->send(proto::encode(proto::Pong{ping->number}));
  if (const auto* bye = std::get_if<proto::Bye>(&*message)) {
    spdlog::info("agent {} says bye: {}", agents_.find(session.agent)->name, escape(bye->text));
    session.closing = true;
    return session.link->close();
  }
  if (!std::holds_alternative<proto::Pong>(*message)) observer_.on_session_message(session, *message);
}

Result<core::AgentRecord> SessionBook::identify(const Session& session, const proto::Hello& hello) {
  // A key that is bound counts even beside a token: the agent may have crashed between being bound and noting it.
  const core::AgentRecord* known = agents_.find_key(session.peer.key);
  if (known != nullptr) return *known;
  if (hello.enroll) return agents_.enroll(hello.enroll->name, hello.enroll->token, session.peer.key);
  return Error(Code::kNotFound,
               fmt::format("agent key {} is not known to this relay (revoked, or another relay): ask for a new "
                           "join line: nfctl agent rejoin NAME",
                           fingerprint(session.peer.key)));
}

// Any stranger can be refused as often as it likes: one line a second, with the number of those left out.
void SessionBook::log_refusal(const Session& session, const Error& error) {
  const Instant now = clock_.now();
  if (now < next_refusal_log_) {
    ++refusals_unlogged_;
    return;
  }
  next_refusal_log_ = now + std::chrono::seconds(1);
  const std::uint64_t unlogged = std::exchange(refusals_unlogged_, 0);
  spdlog::warn("login from {} refused: {}{}", session.peer.address.text(), error.message(),
               unlogged == 0 ? "" : fmt::format(" ({} more since the last such line)", unlogged));
}

void SessionBook::login(Session& session, const proto::Hello& hello) {
  const auto version = proto::agree_version(hello.versions, {});
  if (!version) {
    log_refusal(session, version.error());
    return hang_up(session, proto::ByeCode::kVersion, version.error().message());
  }
  session.version = *version;
  const auto agent = identify(session, hello);
  if (!agent) {
    const auto code = hello.enroll ? proto::ByeCode::kBadToken : proto::ByeCode::kUnknownKey;
    log_refusal(session, agent.error());
    return hang_up(session, code, agent.error().message());
  }
  session.instance = hello.instance;
  session.leg_min = hello.leg_min;
  session.keeps_channels = hello.keeps_channels;
  session.software = escape(hello.software, 64);
  const auto current = by_agent_.find(agent->id);
  if (current != by_agent_.end()) {
    Session& old = sessions_.at(current->second);
    // A fresh join line outranks whoever holds the old key: no contest.
    if (!hello.enroll && old.instance != session.instance && contested(session, old)) return;
    forget(old);
    hang_up(old, proto::ByeCode::kSuperseded, "a newer session of this agent took over");
  }
  activate(session, *agent);
}

// Two live instances of one identity would evict each other for ever: the third takeover between the same two
// within a minute is refused and both are told.
bool SessionBook::contested(Session& session, const Session& current) {
  Contest& contest = contests_[current.agent];
  const Instant now = clock_.now();
  std::erase_if(contest.takeovers, [&](const Takeover& t) { return now - t.at > kContestWindow; });
  const Takeover takeover{now, std::min(session.instance, current.instance),
                          std::max(session.instance, current.instance)};
  const auto same = std::count_if(contest.takeovers.begin(), contest.takeovers.end(),
                                  [&](const Takeover& t) { return t.low == takeover.low && t.high == takeover.high; });
  if (static_cast<std::size_t>(same) < kTakeoversBeforeContest) {
    contest.takeovers.push_back(takeover);
    return false;
  }
  contest.noted = now;
  contest.note =
      fmt::format("two machines use this identity: {} (kept) and {} (refused); give one its own: nfctl agent add NAME",
                  current.peer.address.address.text(), session.peer.address.address.text());
  spdlog::warn("agent {}: {}", agents_.find(current.agent)->name, contest.note);
  current.link->send(proto::encode(proto::Notice{contest.note}));
  hang_up(session, proto::ByeCode::kDuplicate, contest.note);
  return true;
}

void SessionBook::activate(Session& session, const core::AgentRecord& agent) {
  session.agent = agent.id;
  session.since = clock_.wall();
  session.heartbeat = settings_.heartbeat;
  do session.id = core::SessionId{random_.u64()};
  while (!session.id || by_id_.contains(session.id));
  by_agent_[agent.id] = session.link_id;
  by_id_[session.id] = session.link_id;
  proto::Welcome welcome{session.version, agent.name, session.id,
                         static_cast<std::uint32_t>(settings_.heartbeat.count()), keys_.pins()};
  session.link->send(proto::encode(welcome));
  spdlog::info("agent {} connected from {} ({})", agent.name, session.peer.address.text(), session.software);
  observer_.on_session_up(session);
}

void SessionBook::hang_up(Session& session, proto::ByeCode code, std::string text) {
  session.closing = true;
  if (text.size() > 500) text.resize(500);
  session.link->send(proto::encode(proto::Bye{code, std::move(text)}));
  session.link->close();
}

// Takes the session out of the indexes; its link may live on until it closed.
void SessionBook::forget(Session& session) {
  if (!session.id) return;
  last_seen_[session.agent] = LastSeen{session.peer.address, clock_.now(), clock_.wall()};
  by_id_.erase(session.id);
  const auto current = by_agent_.find(session.agent);
  if (current != by_agent_.end() && current->second == session.link_id) by_agent_.erase(current);
}

void SessionBook::on_link_closed(core::LinkId id, std::string_view reason) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  Session session = std::move(found->second);
  const bool was_active = session.id && active(session.agent) == &found->second;
  forget(session);
  sessions_.erase(found);
  if (!was_active) return;
  const core::AgentRecord* agent = agents_.find(session.agent);
  spdlog::info("agent {} disconnected: {}", agent != nullptr ? agent->name : "(removed)", escape(reason));
  observer_.on_session_down(session.agent);
}

void SessionBook::tick() {
  const Instant now = clock_.now();
  for (auto& [id, session] : sessions_) {
    if (!session.closing) tick_one(session, now);
  }
}

void SessionBook::tick_one(Session& session, Instant now) {
  if (!session.id) {
    if (now - session.last_heard > settings_.login_timeout)
      hang_up(session, proto::ByeCode::kProtocol, "no hello in time");
    return;
  }
  if (now - session.last_heard > session.heartbeat * kMissedHeartbeats) {
    spdlog::warn("agent {} is silent for {} heartbeats", agents_.find(session.agent)->name, kMissedHeartbeats);
    return end(session.agent, proto::ByeCode::kProtocol, "no heartbeat");
  }
  if (now - session.last_ping < session.heartbeat) return;
  session.last_ping = now;
  session.link->send(proto::encode(proto::Ping{static_cast<std::uint64_t>(now.time_since_epoch().count())}));
}

const SessionBook::Session* SessionBook::active(core::AgentId agent) const {
  const auto found = by_agent_.find(agent);
  return found != by_agent_.end() ? &sessions_.at(found->second) : nullptr;
}

bool SessionBook::logged_in(core::LinkId link) const {
  const auto found = sessions_.find(link);
  return found != sessions_.end() && found->second.id;
}

const SessionBook::Session* SessionBook::find(core::SessionId id) const {
  const auto found = by_id_.find(id);
  return found != by_id_.end() ? &sessions_.at(found->second) : nullptr;
}

bool SessionBook::send(core::AgentId agent, const proto::Message& message) {
  const Session* session = active(agent);
  if (session == nullptr || session->closing) return false;
  session->link->send(proto::encode(message));
  return true;
}

std::size_t SessionBook::broadcast(const proto::Message& message) {
  for (const auto& [agent, link] : by_agent_) send(agent, message);
  return by_agent_.size();
}

void SessionBook::end(core::AgentId agent, proto::ByeCode code, std::string text) {
  const auto found = by_agent_.find(agent);
  if (found == by_agent_.end()) return;
  Session& session = sessions_.at(found->second);
  forget(session);
  hang_up(session, code, std::move(text));
  observer_.on_session_down(agent);
}

void SessionBook::end_all(proto::ByeCode code, std::string text) {
  std::vector<core::AgentId> agents;
  for (const auto& [agent, link] : by_agent_) agents.push_back(agent);
  for (const core::AgentId agent : agents) end(agent, code, text);
}

const SessionBook::LastSeen* SessionBook::last_seen(core::AgentId agent) const {
  const auto found = last_seen_.find(agent);
  return found != last_seen_.end() ? &found->second : nullptr;
}

std::string SessionBook::duplicate_note(core::AgentId agent) const {
  const auto found = contests_.find(agent);
  if (found == contests_.end() || clock_.now() - found->second.noted > 5 * kContestWindow) return {};
  return found->second.note;
}

}  // namespace nfr::control
