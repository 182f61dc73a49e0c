// SPDX-License-Identifier: GPL-2.0-only
// What nfctl shows of an answer: whoever listens on the socket decides what it says, and a terminal obeys bytes. The
// first line names the command, the rest is the result's JSON.
#include <nlohmann/json.hpp>

#include "fuzz/target.hpp"
#include "nfctl/commands.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const std::size_t end = std::min(input.find('\n'), input.size());
  const auto& commands = nfctl::all_commands();
  const auto named = [&](const nfctl::Command& command) { return command.name == input.substr(0, end); };
  const auto command = std::find_if(commands.begin(), commands.end(), named);
  const auto result = nlohmann::json::parse(input.substr(std::min(end + 1, input.size())), nullptr, false);
  if (command == commands.end() || result.is_discarded() || command->render == nullptr) return;
  const nfctl::View view{.colour = false, .now = WallTime(Millis{1'795'000'000'000})};
  nlohmann::json joined = result;
  if (command->second) command->second->join(joined, result);
  for (const nlohmann::json& shown : {result, joined}) {
    const nfctl::Text text = command->render(shown, view);
    NFR_HOLDS(lines_printable(text.out) && lines_printable(text.err));
  }
}
