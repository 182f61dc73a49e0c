// SPDX-License-Identifier: GPL-2.0-only
#include "agent/exposes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "nfr/admin/agent.h"
#include "nfr/wire/wire.h"

namespace nfr::agent {
namespace {

constexpr Millis kConfirmTimeout{5000};

std::int64_t wall_ms(const Clock& clock) {
  return std::chrono::duration_cast<Millis>(clock.wall().time_since_epoch()).count();
}

bool contains(const std::vector<proto::Wish>& wishes, const proto::Wish& wish) {
  return std::find(wishes.begin(), wishes.end(), wish) != wishes.end();
}

/// The relay could not keep both apart.
bool same_place(const proto::Wish& a, const proto::Wish& b) {
  if (a.ports.automatic() != b.ports.automatic()) return false;
  return a.ports.automatic() ? a.target == b.target : a.ports.overlaps(b.ports);
}

/// The ports of "203.0.113.5:31207", "[2001:db8::1]:5000-5100".
std::optional<core::PortRange> ports_of(const std::string& address) {
  const auto ports = core::PortRange::parse(std::string_view(address).substr(address.rfind(':') + 1));
  if (!ports) return std::nullopt;
  return *ports;
}

}  // namespace

std::vector<proto::Wish> Exposes::wishes() const {
  std::vector<proto::Wish> all = configured_;
  for (const auto& [number, client] : clients_) {
    if (!contains(all, client.wish)) all.push_back(client.wish);
  }
  return all;
}

Status Exposes::check(const proto::Wish& wish) const {
  const std::uint16_t count = wish.ports.automatic() ? 1 : wish.ports.count;
  if (wish.target.port_count != count) {
    return Error(Code::kInvalid, fmt::format("{} has {} port(s) and {} has {}; both must have the same number",
                                             wish.ports.text(), count, wish.target.text(), wish.target.port_count));
  }
  const auto all = wishes();
  if (contains(all, wish)) return {};
  for (const proto::Wish& other : all) {
    if (!same_place(other, wish)) continue;
    return Error(Code::kExists, fmt::format("this agent already asks for {} -> {}, by agent.toml or another nfagent "
                                            "expose (nfagent status), and not in the same way",
                                            other.ports.text(), other.target.text()));
  }
  if (all.size() < NFR_WISHES_MAX) return {};
  return Error(Code::kExhausted,
               fmt::format("an agent may ask for {} mappings; end one (nfagent status)", NFR_WISHES_MAX));
}

Status Exposes::begin(std::uint64_t number, const proto::Wish& wish) {
  if (has(number)) return Error(Code::kExists, "this connection has its mapping; open another one for another mapping");
  if (auto status = check(wish); !status) return status;
  Client& client = clients_[number];
  client.wish = wish;
  if (!connected_) tell_away(client);
  declare_(wishes());
  return {};
}

void Exposes::poll(std::uint64_t number, Answer answer) {
  const auto found = clients_.find(number);
  if (found == clients_.end()) return answer(Error(Code::kNotFound, "this connection has no mapping; expose first"));
  Client& client = found->second;
  if (client.waiting) flush(client);
  client.waiting = std::move(answer);
  client.answer_by = clock_.now() + Millis{NFR_AGENT_POLL_MS};
  if (!client.events.empty()) flush(client);
}

void Exposes::flush(Client& client) {
  Json events = Json::array();
  for (Json& event : client.events) events.push_back(std::move(event));
  client.events.clear();
  const Answer answer = std::exchange(client.waiting, nullptr);
  answer(Json{{"events", std::move(events)}, {"dropped", std::exchange(client.dropped, 0)}});
}

void Exposes::push(Client& client, Json event) {
  event["at_ms"] = wall_ms(clock_);
  client.events.push_back(std::move(event));
  if (client.events.size() > NFR_AGENT_EVENTS_MAX) {
    client.events.pop_front();
    ++client.dropped;
  }
  if (client.waiting) flush(client);
}

void Exposes::note(std::uint64_t number, Json event) {
  if (const auto found = clients_.find(number); found != clients_.end()) push(found->second, std::move(event));
}

void Exposes::end(std::uint64_t number, Answer answer) {
  const auto found = clients_.find(number);
  if (found == clients_.end()) return answer(Error(Code::kNotFound, "this connection has no mapping"));
  if (found->second.waiting) flush(found->second);
  const proto::Wish wish = found->second.wish;
  const std::size_t running = found->second.running;
  clients_.erase(found);
  const auto left = wishes();
  if (contains(left, wish)) {
    return answer(
        Json{{"removed", false}, {"running", running}, {"why", "agent.toml or another nfagent expose wants it too"}});
  }
  endings_.push_back({std::move(answer), running, clock_.now() + kConfirmTimeout});
  declare_(left);
  if (!connected_) finish_endings(false, "the relay is not reachable; it ends when the agent is connected again");
}

void Exposes::finish_endings(bool removed, const std::string& why) {
  for (Ending& ending : std::exchange(endings_, {})) {
    Json answer{{"removed", removed}, {"running", ending.running}};
    if (!why.empty()) answer["why"] = why;
    ending.answer(std::move(answer));
  }
}

void Exposes::drop(std::uint64_t number) {
  const auto found = clients_.find(number);
  if (found == clients_.end()) return;
  const proto::Wish wish = found->second.wish;
  clients_.erase(found);
  if (const auto left = wishes(); !contains(left, wish)) declare_(left);
}

void Exposes::on_disconnected(const std::string& reason) {
  away_reason_ = reason;
  outcomes_.clear();
  finish_endings(false, "the relay is not reachable; it ends when the agent is connected again");
  if (!std::exchange(connected_, false)) return;
  for (auto& [number, client] : clients_) tell_away(client);
}

void Exposes::tell_away(Client& client) {
  client.told_away = true;
  push(client, {{"type", "away"}, {"reason", away_reason_}});
}

void Exposes::on_declared(const std::vector<proto::Wish>& wishes, const proto::Declared& outcome) {
  outcomes_.clear();
  for (std::size_t i = 0; i < wishes.size(); ++i) outcomes_.emplace_back(wishes[i], outcome.outcomes[i]);
  finish_endings(true, "");
  for (auto& [number, client] : clients_) {
    if (const auto* own = outcome_of(client.wish)) tell(client, *own);
  }
}

void Exposes::tell(Client& client, const proto::Declared::Outcome& outcome) {
  if (!outcome.error.empty()) return push(client, {{"type", "refused"}, {"error", outcome.error}});
  const bool again = !client.address.empty();
  if (client.address == outcome.address && !client.told_away) return;
  client.told_away = false;
  client.address = outcome.address;
  push(client, {{"type", "address"}, {"address", outcome.address}, {"again", again}});
}

const proto::Declared::Outcome* Exposes::outcome_of(const proto::Wish& wish) const {
  const auto found =
      std::find_if(outcomes_.begin(), outcomes_.end(), [&](const auto& each) { return each.first == wish; });
  return found != outcomes_.end() ? &found->second : nullptr;
}

bool Exposes::visits(const Client& client, const VisitorNote& note) {
  const auto ports = client.address.empty() ? std::nullopt : ports_of(client.address);
  if (!ports || !ports->contains(note.public_endpoint.port)) return false;
  const auto index = static_cast<std::uint16_t>(note.public_endpoint.port.value - ports->first.value);
  return index < client.wish.target.port_count && client.wish.target.nth(index) == note.target;
}

void Exposes::on_visitor(const VisitorNote& note) {
  using What = VisitorNote::What;
  for (auto& [number, client] : clients_) {
    if (!visits(client, note)) continue;
    if (note.what == What::kArrived) ++client.running;
    if (note.what == What::kLeft && client.running > 0) --client.running;  // not one from before this client
    const char* type = note.what == What::kArrived ? "arrived" : note.what == What::kLeft ? "left" : "turned_away";
    push(client, {{"type", type},
                  {"visitor", note.visitor.address.text()},
                  {"visitor_port", note.visitor.port.value},
                  {"detail", note.detail},
                  {"in_bytes", note.in_bytes},
                  {"out_bytes", note.out_bytes}});
  }
}

void Exposes::tick() {
  const Instant now = clock_.now();
  for (auto& [number, client] : clients_) {
    if (client.waiting && now >= client.answer_by) flush(client);
  }
  if (!endings_.empty() && now >= endings_.front().deadline) {
    finish_endings(false, "the relay has not answered yet");
  }
}

Exposes::Json Exposes::list() const {
  Json out = Json::array();
  for (const proto::Wish& wish : wishes()) {
    Json one{{"public", wish.ports.text()}, {"target", wish.target.text()}};
    one["by"] = contains(configured_, wish) ? "agent.toml" : "expose";
    if (const auto* outcome = outcome_of(wish)) {
      if (outcome->error.empty()) one["address"] = outcome->address;
      if (!outcome->error.empty()) one["error"] = outcome->error;
    }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace nfr::agent
