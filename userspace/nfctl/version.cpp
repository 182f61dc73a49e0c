// SPDX-License-Identifier: GPL-2.0-only
// nfctl version: this program's and, when one answers, the relay's. Pure; called by app.cpp.
#include <fmt/format.h>

#include "nfctl/commands.hpp"
#include "nfctl/field.hpp"
#include "nfr/admin/admin.h"

namespace nfr::nfctl {
namespace {

Result<Call> build_version(const Arguments& arguments) {
  if (const Status status = expect_operands(arguments, 0); !status) return status.error();
  return Call{"version", json::object()};
}

std::string own_line() { return fmt::format("nfctl    {} (admin API {})\n", NFR_VERSION, NFR_ADMIN_VERSION); }

Text render_version(const json& result, const View&) {
  return {own_line() + fmt::format("nfrelayd {} (admin API {})\n", cell(result, "version"), count(result, "api")), ""};
}

Text version_alone(const Error& reason) { return {own_line() + "nfrelayd: " + sentence(reason.message()) + "\n", ""}; }

}  // namespace

std::vector<Command> version_commands() {
  return {{"version",
           "",
           "show the versions of nfctl and of the relay",
           "",
           {},
           build_version,
           render_version,
           version_alone}};
}

}  // namespace nfr::nfctl
