// SPDX-License-Identifier: GPL-2.0-only
// The entry libFuzzer calls, once for every input that it makes up.
#include "target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  nfr::fuzz::one_input({reinterpret_cast<const char*>(data), size});
  return 0;
}
