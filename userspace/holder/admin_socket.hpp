// SPDX-License-Identifier: GPL-2.0-only
// RUN/ctl.sock, the unix socket nfctl talks to. Made by the holder (or with --single by the relay) and handed to the
// relay process as a descriptor; accepting is the admin room's work.
#pragma once

#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "holder/instance_lock.hpp"

namespace nfr::holder {

class AdminSocket {
 public:
  /// Replaces a socket an earlier daemon left in RUN: holding the instance's lock proves that it is stale. Mode 0660
  /// with group `group` where that group exists and may be given, else 0600. kExists if ctl.sock is not a socket.
  static Result<AdminSocket> create(const InstanceLock& lock, const std::string& group = "netferry");

  AdminSocket(AdminSocket&& other) noexcept = default;
  AdminSocket& operator=(AdminSocket&& other) = delete;
  ~AdminSocket();  ///< removes the path too: a missing socket tells nfctl that nothing runs

  int fd() const { return socket_.get(); }
  const std::string& path() const { return path_; }

 private:
  AdminSocket(std::string path, Fd socket) : path_(std::move(path)), socket_(std::move(socket)) {}
  std::string path_;
  Fd socket_;
};

}  // namespace nfr::holder
