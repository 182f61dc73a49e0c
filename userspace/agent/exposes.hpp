// SPDX-License-Identifier: GPL-2.0-only
// Exposes: what this agent wishes the relay to publish: agent.toml's [[mapping]] tables and what each `nfagent expose`
// that runs asked for; and the events of each, kept until its client takes them. Agent's loop thread. Knows no socket:
// a client is a number, an answer a function.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/flows.hpp"
#include "base/clock.hpp"
#include "proto/message.hpp"

namespace nfr::agent {

class Exposes {
 public:
  using Json = nlohmann::json;
  using Answer = std::function<void(Result<Json>)>;  ///< at most once
  /// Takes the whole list; the outcome is on_declared(), if the relay is there.
  using Declare = std::function<void(std::vector<proto::Wish>)>;

  Exposes(std::vector<proto::Wish> configured, const Clock& clock, Declare declare)
      : configured_(std::move(configured)), clock_(clock), declare_(std::move(declare)) {}

  /// agent.toml's first, then those of clients; none twice.
  std::vector<proto::Wish> wishes() const;

  // Clients. A client has one wish.
  Status begin(std::uint64_t client, const proto::Wish& wish);
  /// {events: [...], dropped: N}: at once if there are any, else when there are, at the latest after
  /// NFR_AGENT_POLL_MS with none. A second one while the first waits: the first is answered.
  void poll(std::uint64_t client, Answer answer);
  /// {removed, running, why?}: when the relay has confirmed, or cannot be asked.
  void end(std::uint64_t client, Answer answer);
  void drop(std::uint64_t client);  ///< it went without a word
  void note(std::uint64_t client, Json event);
  bool has(std::uint64_t client) const { return clients_.contains(client); }

  // The world.
  void on_connected() { connected_ = true; }
  void on_disconnected(const std::string& reason);
  void on_declared(const std::vector<proto::Wish>& wishes, const proto::Declared& outcome);
  void on_visitor(const VisitorNote& note);
  void tick();

  /// [{public, target, address?, error?, by}] of every wish, for `nfagent status`.
  Json list() const;

 private:
  struct Client {
    proto::Wish wish;
    std::string address;  ///< as last told to it
    bool told_away = false;
    std::size_t running = 0;
    std::deque<Json> events;
    std::uint64_t dropped = 0;
    Answer waiting;
    Instant answer_by;
  };
  struct Ending {
    Answer answer;
    std::size_t running = 0;
    Instant deadline;
  };
  Status check(const proto::Wish& wish) const;
  void push(Client& client, Json event);
  static void flush(Client& client);
  void tell_away(Client& client);
  void tell(Client& client, const proto::Declared::Outcome& outcome);
  void finish_endings(bool removed, const std::string& why);
  const proto::Declared::Outcome* outcome_of(const proto::Wish& wish) const;
  static bool visits(const Client& client, const VisitorNote& note);

  const std::vector<proto::Wish> configured_;
  const Clock& clock_;
  Declare declare_;
  bool connected_ = false;
  std::string away_reason_ = "it has not been reached yet";
  std::map<std::uint64_t, Client> clients_;
  std::vector<Ending> endings_;
  std::vector<std::pair<proto::Wish, proto::Declared::Outcome>> outcomes_;  ///< of the last answer
};

}  // namespace nfr::agent
