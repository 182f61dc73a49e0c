// SPDX-License-Identifier: GPL-2.0-only
// nfctl key rotate | show: the relay's own keys. Pure; called by app.cpp.
#include <fmt/format.h>

#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"

namespace nfr::nfctl {
namespace {

Result<Call> build_rotate(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 0); !status) return status.error();
  return Call{"key.rotate", json::object()};
}

Result<Call> build_show(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 0); !status) return status.error();
  return Call{"key.show", json::object()};
}

std::string keys_line(const json& result) {
  return fmt::format("relay key {}, next {}\n", cell(result, "current"), cell(result, "next"));
}

Text render_show(const json& result, const View&) { return {keys_line(result), ""}; }

Text render_rotate(const json& result, const View&) {
  const std::uint64_t told = count(result, "sessions_told");
  return {
      keys_line(result) + fmt::format("{} told. An agent that was away knows this key as the next one: rotate again "
                                      "only after it connected (nfctl agents)\n",
                                      counted(told, "connected agent") + (told == 1 ? " was" : " were")),
      ""};
}

}  // namespace

std::vector<Command> key_commands() {
  return {
      {"key show", "", "show the fingerprints of the relay's keys", "", {}, build_show, render_show},
      {"key rotate",
       "",
       "make the relay's next key the current one and tell the agents",
       "Agents pin both keys, so one rotation locks nobody out; two while an agent is away do.\n",
       {},
       build_rotate,
       render_rotate},
  };
}

}  // namespace nfr::nfctl
