// SPDX-License-Identifier: GPL-2.0-only
// An instance is its directories. Makes RUN and STATE, and holds the flock on RUN/lock that keeps a second daemon of
// the same instance out. Used by the holder at start, or by the relay with --single; lives as long as the process.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "holder/relay_user.hpp"

namespace nfr::holder {

class InstanceLock {
 public:
  /// Makes `run_dir` (0755, parents too) where it is missing and locks RUN/lock. kExists names pid and directory of
  /// the daemon that runs there; kDenied when others may write to the directory.
  static Result<InstanceLock> acquire(const std::string& run_dir);

  const std::string& run_dir() const { return run_dir_; }

 private:
  InstanceLock(std::string run_dir, Fd lock) : run_dir_(std::move(run_dir)), lock_(std::move(lock)) {}
  std::string run_dir_;
  Fd lock_;
};

/// Makes `state_dir` where it is missing (parents 0755) and gives it to `owner` with mode 0700. A directory that has
/// content and belongs to somebody else is left alone: kDenied, with the command to run. So is a symbolic link.
Status prepare_state_dir(const std::string& state_dir, const RelayUser& owner);

}  // namespace nfr::holder
