// SPDX-License-Identifier: GPL-2.0-only
// Starting the relay process: fork, give up every right, exec; and how long to wait before starting it again. Used by
// the holder's loop only.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "holder/relay_user.hpp"

namespace nfr::holder {

inline constexpr int kRelayChannelFd = 3;      ///< the relay's end of the socketpair
inline constexpr int kExitConfiguration = 78;  ///< EX_CONFIG: starting again cannot help

struct RelayLaunch {
  std::string program = "/proc/self/exe";  ///< the holder's own file, also after an upgrade replaced it on disk
  std::vector<std::string> arguments;      ///< argv, its [0] included; not empty
  RelayUser user;
};

struct StartedRelay {
  pid_t pid = 0;
  Fd channel;  ///< the holder's end: SOCK_SEQPACKET, non-blocking
};

/// The child runs as `user` without capabilities, with the environment of relay_environment(), kRelayChannelFd,
/// stdin, stdout and stderr, all signals unblocked. When rights cannot be given up, or exec fails, it says so on
/// stderr and exits with kExitConfiguration.
Result<StartedRelay> start_relay(const RelayLaunch& launch);

/// Of `environment` ("NAME=value") what the relay may see: NETFERRY_*, language, time zone and JOURNAL_STREAM, with a
/// fixed PATH. Nothing that steers the loader, the resolver or the service manager.
std::vector<std::string> relay_environment(const char* const* environment);

/// The waits between deaths: `delays` one after the other, the last one for ever, from the start again once a process
/// lived `healthy_after`.
class RestartDelay {
 public:
  RestartDelay(std::vector<Millis> delays, Millis healthy_after);  ///< delays: not empty
  Millis after_death(Millis lived);

 private:
  std::vector<Millis> delays_;
  Millis healthy_after_;
  std::size_t next_ = 0;
};

/// "was killed by signal 9 (Killed)", "ended with exit code 1".
std::string exit_text(int wait_status);

}  // namespace nfr::holder
