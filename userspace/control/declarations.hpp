// SPDX-License-Identifier: GPL-2.0-only
// Declarations: mappings that agents make by themselves (`nfagent expose`, agent.toml), held to the rights the operator
// gave. An agent always declares its whole list; what is not in it any more ends. Policy, on the control thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/mapping_book.hpp"
#include "control/session_book.hpp"
#include "proto/message.hpp"

namespace nfr::control {

class Declarations {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void on_declared(const core::AgentRecord& agent, const core::Mapping& mapping) = 0;
    virtual void on_withdrawn(const core::AgentRecord& agent, const core::Mapping& mapping, std::string_view why) = 0;
    /// "203.0.113.5:8888" as visitors dial it.
    virtual std::string address_of(const core::PublicPorts& ports) const = 0;
  };
  Declarations(MappingBook& mappings, AgentBook& agents, SessionBook& sessions, Clock& clock, Observer& observer)
      : mappings_(mappings), agents_(agents), sessions_(sessions), clock_(clock), observer_(observer) {}

  /// Answers with Declared once every wish was tried. Lists are charged for what they change, since each change is a
  /// commit on the control thread: kPace a list, and again for every kChanges changes. Of an agent that is kBurst ahead
  /// only the newest list is kept, until tick() finds its time come.
  void on_declare(const SessionBook::Session& session, const proto::Declare& declare);
  /// After the rights changed: withdraws what they do not cover any more; returns how many. The agent's last list is
  /// tried again, and it is told by another answer.
  std::size_t enforce(core::AgentId agent);
  /// The operator took back what an agent had made: the agent is told, so that it does not show what is not there.
  void on_taken_back(const core::Mapping& mapping);
  void tick();

 private:
  static constexpr Millis kPace{500};
  static constexpr int kBurst = 8;
  static constexpr std::size_t kChanges = 8;
  struct Job;
  /// One agent's lists against time.
  struct Pace {
    Instant paid_until;  ///< kBurst * kPace ahead of now: nothing more is carried out
    std::optional<std::pair<core::SessionId, proto::Declare>> held;
  };
  bool admits(Pace& pace) const;
  std::size_t changes(core::AgentId agent, const std::vector<proto::Wish>& wishes) const;
  void charge(Pace& pace, core::AgentId agent, const proto::Declare& declare) const;
  void carry_out(core::AgentId agent, core::SessionId session, const proto::Declare& declare);
  /// What an agent's present session asked for last, and what it was told.
  struct Last {
    core::SessionId session;
    proto::Declare declare;
    std::vector<proto::Declared::Outcome> outcomes;  ///< empty: not told yet
  };
  std::size_t withdraw_uncovered(const core::AgentRecord& record);
  Status judge(const core::AgentRecord& agent, const std::vector<proto::Wish>& wishes, std::size_t index) const;
  const core::Mapping* present(core::AgentId agent, const proto::Wish& wish) const;
  Status judge_ports(const core::AgentRecord& agent, const core::PublicPorts& ports, bool automatic) const;
  void withdraw_others(core::AgentId agent, const std::vector<proto::Wish>& wishes);
  void withdraw(const core::Mapping& mapping, std::string_view why);
  void try_wish(const std::shared_ptr<Job>& job, std::size_t index);
  void settle(const std::shared_ptr<Job>& job, std::size_t index, const Result<core::Mapping>& result, bool is_new);

  MappingBook& mappings_;
  AgentBook& agents_;
  SessionBook& sessions_;
  Clock& clock_;
  Observer& observer_;
  std::map<core::AgentId, Last> last_;
  std::map<core::AgentId, Pace> paces_;
};

}  // namespace nfr::control
