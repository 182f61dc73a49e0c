// SPDX-License-Identifier: GPL-2.0-only
#include "agent/status_client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "agent/expose_client.hpp"
#include "agent/json_field.hpp"
#include "base/text.hpp"
#include "nfr/admin/admin.h"

namespace nfr::agent {
namespace {

using nlohmann::json;

std::string connection_line(const json& status) {
  const Millis for_ms{static_cast<Millis::rep>(number_in(status, "for_ms"))};
  const std::string since = human_duration(for_ms);
  if (flag_in(status, "connected")) {
    return fmt::format("connected to {} as {} for {}\n", text_in(status, "relay"), text_in(status, "name"), since);
  }
  return fmt::format("not connected to {} for {}: {}\n", text_in(status, "relay"), since, text_in(status, "reason"));
}

std::string state_of(const json& mapping, bool connected) {
  if (const std::string error = text_in(mapping, "error"); !error.empty()) return "refused: " + error;
  if (mapping.contains("address")) return "ok";
  return connected ? "asked for" : "waits for the relay";
}

std::string mappings_table(const json& mappings, bool connected) {
  std::size_t width = 6;
  std::size_t target_width = 6;
  for (const json& mapping : mappings) {
    width = std::max({width, text_in(mapping, "address").size(), text_in(mapping, "public").size()});
    target_width = std::max(target_width, text_in(mapping, "target").size());
  }
  std::string out = fmt::format("{:<{}}  {:<{}}  {:<10}  STATE\n", "PUBLIC", width, "TARGET", target_width, "BY");
  for (const json& mapping : mappings) {
    const std::string address = text_in(mapping, "address");
    out += fmt::format("{:<{}}  {:<{}}  {:<10}  {}\n", address.empty() ? text_in(mapping, "public") : address, width,
                       text_in(mapping, "target"), target_width, text_in(mapping, "by"), state_of(mapping, connected));
  }
  return out;
}

}  // namespace

std::string status_text(const json& status) {
  std::string out = connection_line(status);
  const std::string proxy = text_in(status, "proxy");
  out += fmt::format("{} running flow(s)   leg at least {}{}\n", number_in(status, "flows"), text_in(status, "leg_min"),
                     proxy.empty() ? "" : "   through proxy " + proxy);
  out += fmt::format("the relay may reach: {}\n", text_in(status, "allow"));
  const auto mappings = status.find("mappings");
  if (mappings == status.end() || !mappings->is_array() || mappings->empty()) return out;
  return out + mappings_table(*mappings, flag_in(status, "connected"));
}

int run_status(const Options& options) {
  auto client = connect_to_agent(options);
  if (!client) return fail_to_reach(client.error());
  const auto answer = client->call("status", json::object(), Millis{5000});
  if (!answer) return fail_to_reach(answer.error());
  if (answer->error) {
    std::fprintf(stderr, "error: %s\n", escape(answer->error->message(), 400).c_str());
    return NFR_EXIT_FAILED;
  }
  const std::string text = options.json ? answer->result.dump(2, ' ', true) + "\n" : status_text(answer->result);
  std::fputs(text.c_str(), stdout);
  return NFR_EXIT_OK;
}

}  // namespace nfr::agent
