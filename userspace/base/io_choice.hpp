// SPDX-License-Identifier: GPL-2.0-only
// Which back end the event loop is to use, as configuration files name it. Pure, any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace nfr {

enum class IoChoice : std::uint8_t { kAuto, kUring, kEpoll };

/// "auto", "io_uring" or "epoll"; kInvalid names the text.
Result<IoChoice> parse_io_choice(std::string_view text);

}  // namespace nfr
