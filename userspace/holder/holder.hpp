// SPDX-License-Identifier: GPL-2.0-only
// The holder: the small privileged process that `nfrelayd` starts as. It keeps the public listeners, starts the
// unprivileged relay process, and starts it again when it dies. One thread, one poll(2) loop; reads nothing from the
// network and nothing from the relay but the fixed-size requests of holder/message.hpp. Called by relayd's main.
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"

namespace nfr::holder {

struct HolderOptions {
  std::string program = "/proc/self/exe";    ///< what is started as the relay process
  std::vector<std::string> relay_arguments;  ///< its argv, [0] included, as "nfrelayd --relay-process 3 ..."
  std::string run_dir;
  std::string state_dir;
  std::string user;  ///< name or uid; empty: `netferry` or 65534

  std::vector<Millis> restart_delays = {Millis(0), Millis(200), Millis(1000), Millis(2000)};
  Millis healthy_after{10'000};      ///< a relay process that lived this long restarts without delay
  Millis reset_visitors_after{3000}; ///< with no relay serving, queued visitors get RST from then on
  Millis stop_timeout{5000};         ///< between SIGTERM and SIGKILL
};

/// Runs until SIGTERM or SIGINT (result 0), a configuration error (kExitConfiguration), or another failure to start
/// (1). Blocks SIGCHLD, SIGTERM, SIGINT and SIGHUP, raises RLIMIT_NOFILE's soft limit to the hard one, and gives up
/// capabilities for the rest of the process. Call it once, from the only thread.
int run_holder(const HolderOptions& options);

}  // namespace nfr::holder
