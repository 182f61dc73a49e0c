// SPDX-License-Identifier: GPL-2.0-only
// The arguments of `nfagent expose` as the running agent gets them, and what `nfagent status` and `expose` print of an
// answer: whoever listens on the socket decides what it says.
#include <nlohmann/json.hpp>

#include "agent/commands.hpp"
#include "agent/expose_client.hpp"
#include "agent/status_client.hpp"
#include "fuzz/target.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto object = nlohmann::json::parse(input, nullptr, false);
  if (!object.is_object()) return;  // the codec of requests and answers lets nothing else through
  const auto wish = agent::wish_of(object);
  if (!wish) NFR_HOLDS(printable(wish.error().message()));
  if (wish) NFR_HOLDS(printable(wish->target.text()) && printable(wish->ports.text()));
  NFR_HOLDS(lines_printable(agent::status_text(object)));
  NFR_HOLDS(lines_printable(agent::event_line(object, "127.0.0.1:3000", true)));
}
