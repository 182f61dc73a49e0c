// SPDX-License-Identifier: GPL-2.0-only
// The relay process whole: makes every part, joins them, runs the control loop until a signal, and takes them down in
// order. The place where concrete store, ring, TLS and policy meet.
#pragma once

#include <functional>
#include <memory>

#include "holder/listener_source.hpp"
#include "io/loop.hpp"
#include "relayd/options.hpp"

namespace nfr::relayd {

/// Where listeners come from; made on the control loop. `holder_gone` is to be called when their source vanished.
using MakeListeners =
    std::function<std::unique_ptr<holder::ListenerSource>(io::Loop& control, std::function<void()> holder_gone)>;

/// Blocks SIGTERM and SIGINT and runs until one comes. The process's exit code: 0, or 78 when it cannot start.
int run_relay(const Options& options, const MakeListeners& make_listeners);

}  // namespace nfr::relayd
