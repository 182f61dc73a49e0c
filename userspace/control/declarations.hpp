// SPDX-License-Identifier: GPL-2.0-only
// Declarations: mappings that agents make by themselves (`nfagent expose`, agent.toml), held to the rights the operator
// gave. An agent always declares its whole list; what is not in it any more ends. Policy, on the control thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
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
  Declarations(MappingBook& mappings, AgentBook& agents, SessionBook& sessions, Observer& observer)
      : mappings_(mappings), agents_(agents), sessions_(sessions), observer_(observer) {}

  /// Answers with Declared once every wish was tried.
  void on_declare(const SessionBook::Session& session, const proto::Declare& declare);
  /// After the rights changed: withdraws what they do not cover any more; returns how many.
  std::size_t enforce(core::AgentId agent);

 private:
  struct Job;
  Status judge(const core::AgentRecord& agent, const proto::Wish& wish) const;
  Status judge_ports(const core::Rights& rights, const core::PublicPorts& ports, bool automatic) const;
  void withdraw_others(core::AgentId agent, const std::vector<proto::Wish>& wishes);
  void withdraw(const core::Mapping& mapping, std::string_view why);
  void try_wish(const std::shared_ptr<Job>& job, std::size_t index);
  void settle(const std::shared_ptr<Job>& job, std::size_t index, const Result<core::Mapping>& result, bool is_new);

  MappingBook& mappings_;
  AgentBook& agents_;
  SessionBook& sessions_;
  Observer& observer_;
};

}  // namespace nfr::control
