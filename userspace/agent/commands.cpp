// SPDX-License-Identifier: GPL-2.0-only
#include "agent/commands.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace nfr::agent {
namespace {

Result<std::string> text_of(const nlohmann::json& args, const char* name, const char* otherwise) {
  const auto found = args.find(name);
  if (found == args.end()) return std::string(otherwise);
  if (!found->is_string()) return Error(Code::kInvalid, fmt::format("\"{}\" must be a string", name));
  return found->get<std::string>();
}

}  // namespace

Result<proto::Wish> wish_of(const nlohmann::json& args) {
  const auto ports_text = text_of(args, "public", "auto");
  const auto target_text = text_of(args, "target", "");
  const auto leg_text = text_of(args, "leg", "");
  const auto proxy_text = text_of(args, "proxy", "none");
  for (const auto* text : {&ports_text, &target_text, &leg_text, &proxy_text}) {
    if (!*text) return text->error();
  }
  const auto ports = core::PublicPorts::parse(*ports_text);
  if (!ports) return ports.error();
  const auto target = core::Target::parse(*target_text);
  if (!target) return target.error();
  const auto proxy = core::parse_proxy_header(*proxy_text);
  if (!proxy) return proxy.error();
  proto::Wish wish{*ports, *target, std::nullopt, *proxy};
  if (leg_text->empty()) return wish;
  const auto leg = core::parse_leg(*leg_text);
  if (!leg) return leg.error();
  wish.leg = *leg;
  return wish;
}

void Commands::handle(const std::string& cmd, const Json& args, const admin::PeerCredentials& peer,
                      admin::Reply reply) {
  if (cmd == "expose.events") return exposes_.poll(peer.connection, std::move(reply));
  if (cmd == "expose.end") return exposes_.end(peer.connection, std::move(reply));
  if (cmd == "status") {
    Json status = hooks_.status();
    status["mappings"] = exposes_.list();
    return reply(std::move(status));
  }
  const Status exposed = expose(args, peer.connection);
  if (!exposed) return reply(exposed.error());
  reply(Json::object());
}

Status Commands::expose(const Json& args, std::uint64_t connection) {
  const auto wish = wish_of(args);
  if (!wish) return wish.error();
  for (std::uint16_t index = 0; index < wish->target.port_count; ++index) {
    if (auto allowed = hooks_.allowed(wish->target.nth(index)); !allowed) return allowed;
  }
  if (auto begun = exposes_.begin(connection, *wish); !begun) return begun;
  hooks_.probe(wish->target.nth(0), wish->proxy, [this, connection](const std::string& problem) {
    if (!problem.empty()) exposes_.note(connection, {{"type", "target"}, {"problem", problem}});
  });
  return {};
}

}  // namespace nfr::agent
