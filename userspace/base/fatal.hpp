// SPDX-License-Identifier: GPL-2.0-only
// The end of a process that cannot go on for want of memory or of what the kernel owes it, though nothing is wrong with
// its code. Any thread. The supervisor starts it again; streams under way end by RST.
#pragma once

#include <string_view>

namespace nfr {

/// Writes "error: TEXT" and what becomes of the flows to standard error and ends with exit code 1 at once. Allocates
/// nothing.
[[noreturn]] void fatal(std::string_view text);

/// From now on an allocation that fails is fatal() instead of std::bad_alloc. Call first thing in main().
void end_when_out_of_memory();

}  // namespace nfr
