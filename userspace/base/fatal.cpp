// SPDX-License-Identifier: GPL-2.0-only
#include "base/fatal.hpp"

#include <unistd.h>

#include <cstdio>
#include <new>

namespace nfr {

void fatal(std::string_view text) {
  std::fprintf(stderr, "error: %.*s; the process ends, its connections are reset\n", static_cast<int>(text.size()),
               text.data());
  ::_exit(1);
}

void end_when_out_of_memory() {
  std::set_new_handler([] { fatal("out of memory (raise MemoryMax, or lower the limits on flows)"); });
}

}  // namespace nfr
