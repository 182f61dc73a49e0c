// SPDX-License-Identifier: GPL-2.0-only
// Well-known services that usually speak clear text: one warning for a mapping whose leg is plain. Pure.
#pragma once

#include <string>

#include "net/address.hpp"

namespace nfr::control {

/// "MySQL", "Redis", ...; empty for a port that has no such name.
std::string clear_text_service(net::Port port);

}  // namespace nfr::control
