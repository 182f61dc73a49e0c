// SPDX-License-Identifier: GPL-2.0-only
// This process's descriptors: how many there may be and how many there are. Any thread.
#pragma once

#include <cstddef>

namespace nfr {

/// The soft limit becomes the hard one. Two descriptors a flow: the usual soft limit of 1024 would be felt at 500
/// flows. What it is then; 0: unknown.
std::size_t raise_descriptor_limit();
std::size_t descriptor_limit();  ///< RLIMIT_NOFILE as it is now; 0: unknown
std::size_t open_descriptors();  ///< counts /proc/self/fd: takes milliseconds when there are many

}  // namespace nfr
