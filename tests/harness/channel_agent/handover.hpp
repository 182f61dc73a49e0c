// SPDX-License-Identifier: GPL-2.0-only
// The giving side of nf-load's unix sockets (tests/harness/load/server.hpp): connected sockets change their process.
// Errors are exceptions, as in wire_v1.
#pragma once

#include <string>

namespace channel_agent {

class Handover {
 public:
  explicit Handover(const std::string& path);
  ~Handover();
  Handover(Handover&& other) noexcept;
  Handover& operator=(Handover&&) = delete;

  /// The server gets a descriptor of its own; the caller's is still the caller's. Waits while the server is behind.
  void give(int socket) const;

 private:
  int fd_;
};

}  // namespace channel_agent
