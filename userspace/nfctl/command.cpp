// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/command.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace nfr::nfctl {

std::string usage_line(const Command& command) {
  constexpr std::size_t kWidth = 100;
  std::vector<std::string> parts;
  for (const Option& option : command.options) {
    parts.push_back(option.value.empty() ? fmt::format("[--{}]", option.name)
                                         : fmt::format("[--{} {}]", option.name, option.value));
  }
  std::string out;
  std::string line = "usage: nfctl " + command.name;
  if (!command.operands.empty()) line += " " + command.operands;
  for (const std::string& part : parts) {
    if (line.size() + 1 + part.size() > kWidth) {
      out += line + "\n";
      line = "            ";
    }
    line += " " + part;
  }
  return out + line + "\n";
}

Option watch_option() {
  return {"watch", "[SECONDS]", "show it again and again, every 2 s or so many; Ctrl-C ends it"};
}

Status expect_operands(const Arguments& arguments, std::size_t expected) {
  const auto& operands = arguments.operands;
  if (operands.size() > expected) {
    return Error(Code::kInvalid, fmt::format("'{}' is one argument too many", escape(operands[expected], 60)));
  }
  if (operands.size() < expected) {
    return Error(Code::kInvalid, fmt::format("{} expected, {} given", expected == 1 ? "one argument" : "two arguments",
                                             operands.empty() ? "none" : "one"));
  }
  return {};
}

}  // namespace nfr::nfctl
