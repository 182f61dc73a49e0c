// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/command.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace nfr::nfctl {

std::string usage_line(const Command& command) {
  std::string line = "usage: nfctl " + command.name;
  if (!command.operands.empty()) line += " " + command.operands;
  for (const Option& option : command.options) {
    line += option.value.empty() ? fmt::format(" [--{}]", option.name)
                                 : fmt::format(" [--{} {}]", option.name, option.value);
  }
  return line + "\n";
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
