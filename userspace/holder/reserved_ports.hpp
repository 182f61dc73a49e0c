// SPDX-License-Identifier: GPL-2.0-only
// ReservedPorts: keeps the ports of mappings from the kernel's own outgoing connections (ip_local_reserved_ports), so
// that a mapped port from the ephemeral range is never "already used" after a restart. Owned by the holder's loop.
// Entries of others in the sysctl stay; what this instance added is noted in RUN/reserved-ports and goes again, after
// a kill at the next start.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace nfr::holder {

using PortSet = std::set<std::uint16_t>;

/// "80,1000-1002" to a set, as the kernel prints it; kInvalid for anything else. Empty text: no port.
Result<PortSet> parse_port_list(std::string_view text);
std::string port_list_text(const PortSet& ports);

class ReservedPorts {
 public:
  static constexpr const char* kSysctl = "/proc/sys/net/ipv4/ip_local_reserved_ports";

  /// Takes out what an earlier process of this instance left.
  explicit ReservedPorts(const std::string& run_dir, std::string sysctl = kSysctl);
  ~ReservedPorts();  ///< takes out what was added
  ReservedPorts(const ReservedPorts&) = delete;
  ReservedPorts& operator=(const ReservedPorts&) = delete;

  /// Makes exactly `wanted` this instance's part. A failure is logged once, and nothing depends on it.
  void set(const PortSet& wanted);

 private:
  Status change(const PortSet& wanted);

  std::string note_path_;
  std::string sysctl_;
  PortSet added_;
  bool failed_ = false;
};

}  // namespace nfr::holder
