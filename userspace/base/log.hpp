// SPDX-License-Identifier: GPL-2.0-only
// Logging to stderr through spdlog: level, time, text. Everything a peer supplied goes through escape() first.
#pragma once

#include <spdlog/spdlog.h>

#include <string_view>

namespace nfr {

/// Sets up the process log: stderr, "LEVEL name: text" under systemd, with time otherwise. Call once, in main.
void log_init(std::string_view program);

}  // namespace nfr
