// SPDX-License-Identifier: GPL-2.0-only
// What every fuzz target is made of: one function over one input, and a check that is always on. Linked with
// libFuzzer where clang is the compiler, and with replay.cpp, which feeds files, everywhere.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>

#include "base/text.hpp"

namespace nfr::fuzz {

/// Any input; returns normally or a property does not hold. No state from one input to the next.
void one_input(std::string_view input);

/// Every byte is printable ASCII or part of a UTF-8 sequence that no terminal obeys: escaping it changes nothing.
inline bool printable(std::string_view text) {
  std::string expected;
  for (const char c : text) expected += c == '\\' ? '/' : c;  // escape() doubles as an escape of its own output
  return escape(expected, expected.size() + 1) == expected;
}

/// The same of each line.
inline bool lines_printable(std::string_view text) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (!printable(text.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace nfr::fuzz

/// A property of the code under test; names it and aborts, as libFuzzer expects.
#define NFR_HOLDS(expression)    \
  (static_cast<bool>(expression) \
       ? void(0)                 \
       : (std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #expression), std::abort()))
