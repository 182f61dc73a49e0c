// SPDX-License-Identifier: GPL-2.0-only
#include "base/random.hpp"

#include <sys/random.h>

#include <cerrno>

#include "base/assert.hpp"

namespace nfr {

void SystemRandom::fill(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    NFR_ASSERT(got > 0);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace nfr
