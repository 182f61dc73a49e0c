// SPDX-License-Identifier: GPL-2.0-only
// sd_notify(3)'s protocol without libsystemd: one datagram to $NOTIFY_SOCKET. Called by the holder, or by the relay
// with --single.
#pragma once

#include <string_view>

#include "base/result.hpp"

namespace nfr::holder {

/// `state` such as "READY=1". Succeeds without doing anything when no service manager asked for notifications.
Status notify_service_manager(std::string_view state);

}  // namespace nfr::holder
