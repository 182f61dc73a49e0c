// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/arguments.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace nfr::relayd {
namespace {

constexpr std::int64_t kIdleMaxMs = std::int64_t{30} * 24 * 3600 * 1000;

Result<Millis> idle_argument(const nlohmann::json& args) {
  const auto found = args.find("idle_timeout_ms");
  if (found == args.end()) return Millis{0};
  if (found->is_number_integer()) {
    const std::int64_t ms = found->get<std::int64_t>();
    if (ms == 0 || (ms >= 1000 && ms <= kIdleMaxMs)) return Millis{ms};
  }
  return Error(Code::kInvalid,
               fmt::format("idle timeout {} ms: expected 0 (never) or 1 s to 30 d", escape(found->dump(), 32)));
}

}  // namespace

std::string text_argument(const nlohmann::json& args, const char* name) {
  const auto found = args.find(name);
  return found != args.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag_argument(const nlohmann::json& args, const char* name) {
  const auto found = args.find(name);
  return found != args.end() && found->is_boolean() && found->get<bool>();
}

Result<control::MappingBook::Request> map_request(const nlohmann::json& args) {
  const auto endpoint = core::parse_public(text_argument(args, "public"));
  if (!endpoint) return endpoint.error();
  const auto target = core::Target::parse(text_argument(args, "target"));
  if (!target) return target.error();
  const auto idle = idle_argument(args);
  if (!idle) return idle.error();
  control::MappingBook::Request request{*endpoint, text_argument(args, "agent"), *target, {}, *idle};
  if (args.contains("leg")) {
    const auto leg = core::parse_leg(text_argument(args, "leg"));
    if (!leg) return leg.error();
    request.leg = *leg;
  }
  return request;
}

}  // namespace nfr::relayd
