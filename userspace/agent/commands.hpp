// SPDX-License-Identifier: GPL-2.0-only
// What `nfagent expose` and `nfagent status` ask of the running agent, answered: JSON in, Exposes and facts of the
// process, JSON out (docs/expose.md). Agent's loop thread.
#pragma once

#include <functional>
#include <string>

#include "admin/server.hpp"
#include "agent/exposes.hpp"

namespace nfr::agent {

class Commands final : public admin::Handler {
 public:
  using Json = nlohmann::json;
  struct Hooks {
    std::function<Status(const core::Target&)> allowed;  ///< by the allow list; the error says how to allow it
    /// Dials the target once; `done` gets the reason it does not answer, or nothing.
    std::function<void(const core::Target&, core::ProxyHeader, std::function<void(std::string)> done)> probe;
    std::function<Json()> status;  ///< all but the mappings
  };
  Commands(Exposes& exposes, Hooks hooks) : exposes_(exposes), hooks_(std::move(hooks)) {}

  void handle(const std::string& cmd, const Json& args, const admin::PeerCredentials& peer,
              admin::Reply reply) override;
  void on_gone(std::uint64_t connection) override { exposes_.drop(connection); }

 private:
  Status expose(const Json& args, std::uint64_t connection);

  Exposes& exposes_;
  Hooks hooks_;
};

/// {target, public?, leg?, proxy?} as a wish; public is "auto" where it is missing. kInvalid names the argument.
Result<proto::Wish> wish_of(const nlohmann::json& args);

}  // namespace nfr::agent
