// SPDX-License-Identifier: GPL-2.0-only
// What several commands say about which visitors a mapping takes. Pure; used by the files of the commands.
#pragma once

#include <string>

#include "nfctl/arguments.hpp"
#include "nfctl/field.hpp"

namespace nfr::nfctl {

/// "allow 2, deny 1, 100 flows, 5 a source, 10/s, proxy v1"; "-" when a mapping has none of these.
std::string rules_text(const json& mapping);

/// --max-flows, --max-per-source and --rate into a request.
Status read_limits(const Arguments& arguments, json& args);

}  // namespace nfr::nfctl
