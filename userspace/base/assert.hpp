// SPDX-License-Identifier: GPL-2.0-only
// Always-on assertion for our own bugs; never for input. Aborts with file and line, so that a supervisor
// restarts a process whose invariants no longer hold instead of letting it forward wrong bytes.
#pragma once

namespace nfr {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}  // namespace nfr

#define NFR_ASSERT(expression) \
  (static_cast<bool>(expression) ? void(0) : ::nfr::assertion_failed(#expression, __FILE__, __LINE__))
