// SPDX-License-Identifier: GPL-2.0-only
#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace nfr {

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "bug: %s:%d: %s does not hold; please report it\n", file, line, expression);
  std::abort();
}

}  // namespace nfr
