// SPDX-License-Identifier: GPL-2.0-only
#include "base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>

#include <cstdlib>
#include <string>

namespace nfr {

void log_init(std::string_view program) {
  auto logger = spdlog::stderr_logger_mt(std::string(program));
  // systemd stamps lines itself.
  const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  logger->set_pattern(journal ? "%l: %v" : "%Y-%m-%d %H:%M:%S.%e %l %n: %v");
  const char* level = std::getenv("NETFERRY_LOG");
  logger->set_level(level != nullptr ? spdlog::level::from_str(level) : spdlog::level::info);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace nfr
