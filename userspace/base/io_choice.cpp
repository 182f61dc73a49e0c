// SPDX-License-Identifier: GPL-2.0-only
#include "base/io_choice.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace nfr {

Result<IoChoice> parse_io_choice(std::string_view text) {
  if (text == "auto") return IoChoice::kAuto;
  if (text == "io_uring") return IoChoice::kUring;
  if (text == "epoll") return IoChoice::kEpoll;
  return Error(Code::kInvalid, fmt::format("'{}': expected auto, io_uring or epoll", escape(text, 32)));
}

}  // namespace nfr
