// SPDX-License-Identifier: GPL-2.0-only
// What nfctl asks, answered: JSON in, control::Relay, JSON out (docs/admin-api.md). Control thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "admin/server.hpp"
#include "control/relay.hpp"
#include "io/loop.hpp"

namespace nfr::relayd {

/// Facts about this process that `nfctl status` shows and control does not know.
struct RelayFacts {
  std::string address;        ///< the first public address, for "ADDRESS:PORT"
  std::string address_doubt;  ///< why agents may not reach that address; empty: no reason known
  bool single = false;
  std::vector<std::string> missing;  ///< what this instance cannot do, and what to do about it
  std::string back_end;              ///< "io_uring (2 rings)"
  unsigned workers = 1;
};

class Commands final : public admin::Handler {
 public:
  Commands(control::Relay& relay, core::RelayKeys& keys, Clock& clock, RelayFacts facts);
  void handle(const std::string& cmd, const nlohmann::json& args, const admin::PeerCredentials& peer,
              admin::Reply reply) override;
  void set_facts(RelayFacts facts) { facts_ = std::move(facts); }
  /// Reads relay.toml again; what is wrong with it, or which changed keys wait for a restart.
  std::function<Result<std::vector<std::string>>()> reload;
  std::function<io::Loop::Statistics()> io_statistics;  ///< of the data threads

 private:
  using Json = nlohmann::json;
  using Answer = Result<Json> (Commands::*)(const Json& args);

  Result<Json> agent_add(const Json& args);
  Result<Json> agent_list(const Json& args);
  Result<Json> agent_revoke(const Json& args);
  Result<Json> agent_rejoin(const Json& args);
  Result<Json> agent_remove(const Json& args);
  Result<Json> agent_set(const Json& args);
  Result<Json> agent_rename(const Json& args);
  Result<Json> admit(const Json& args);
  Result<Json> export_all(const Json& args);
  Result<Json> events(const Json& args);
  Result<Json> reload_config(const Json& args);
  Result<Json> unmap(const Json& args);
  Result<Json> maps(const Json& args);
  Result<Json> flows(const Json& args);
  Result<Json> status(const Json& args);
  Result<Json> key_rotate(const Json& args);
  Result<Json> key_show(const Json& args);
  Result<Json> version(const Json& args);
  void map(const Json& args, const admin::Reply& reply);
  void check(const Json& args, const admin::Reply& reply);
  void apply(const Json& args, const admin::Reply& reply);

  Json invitation(const control::Relay::Invitation& made) const;
  /// In the events, by whoever asked.
  void note(std::string what);
  /// As a file declares it; of an automatic mapping "port" tells the one it has.
  Json declared(const core::Mapping& mapping) const;
  Json agent_json(const core::AgentRecord& agent) const;
  Json mapping_json(const control::MappingBook::Entry& entry) const;
  Json flow_json(const control::FlowBook::Flow& flow) const;
  Json pool_json() const;
  Json map_json(const control::Relay::MapResult& result) const;

  control::Relay& relay_;
  core::RelayKeys& keys_;
  Clock& clock_;
  RelayFacts facts_;
  Instant started_;
  std::string who_;  ///< of the request being handled
  std::map<std::string, Answer> answers_;
};

}  // namespace nfr::relayd
