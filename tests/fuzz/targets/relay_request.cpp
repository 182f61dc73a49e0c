// SPDX-License-Identifier: GPL-2.0-only
// Requests on the control socket, a line each, carried out by the real policy in a simulated world with one agent:
// whatever the arguments are, at most one answer, that is one line. Afterwards what `export` gives is what `apply`
// finds.
#include <memory>

#include "admin/message.hpp"
#include "base/log.hpp"
#include "fuzz/target.hpp"
#include "harness/sim/world.hpp"
#include "relayd/commands.hpp"

namespace {

using namespace nfr;

constexpr std::size_t kRequestsMax = 8;

void ask(relayd::Commands& commands, const admin::Request& request) {
  const auto answers = std::make_shared<unsigned>(0);  // some come later
  commands.handle(request.cmd, request.args, admin::PeerCredentials{}, [answers](const Result<nlohmann::json>& result) {
    NFR_HOLDS(++*answers == 1);
    const std::string line = admin::encode_answer(1, result);
    NFR_HOLDS(line.find('\n') == line.size() - 1);
    if (!result) NFR_HOLDS(fuzz::printable(result.error().message()));
  });
}

nlohmann::json answer_of(relayd::Commands& commands, const char* cmd, const nlohmann::json& args) {
  nlohmann::json answer;
  commands.handle(cmd, args, admin::PeerCredentials{}, [&](const Result<nlohmann::json>& result) {
    NFR_HOLDS(result.ok());
    answer = *result;
  });
  return answer;
}

void nothing_to_apply(relayd::Commands& commands) {
  const nlohmann::json exported = answer_of(commands, "export", nlohmann::json::object());
  const nlohmann::json plan = answer_of(commands, "apply", {{"mappings", exported.at("mappings")}, {"dry_run", true}});
  for (const char* part : {"added", "changed", "removed"}) NFR_HOLDS(plan.at(part).empty());
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  spdlog::set_level(spdlog::level::off);
  sim::World world{11};
  relayd::Commands commands(*world.relay, world.keys, world.clock, {"203.0.113.5", "", true, {}, "io_uring", 2});
  world.join(world.add_machine(), "client1");
  world.run_for(std::chrono::seconds(1));
  for (std::size_t asked = 0; !input.empty() && asked < kRequestsMax; ++asked) {
    const std::size_t end = std::min(input.find('\n'), input.size());
    const auto parsed = admin::parse_request(input.substr(0, end));
    input.remove_prefix(std::min(end + 1, input.size()));
    if (parsed.request) ask(commands, *parsed.request);
  }
  world.run_for(std::chrono::seconds(3));
  nothing_to_apply(commands);
}
