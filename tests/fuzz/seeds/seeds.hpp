// SPDX-License-Identifier: GPL-2.0-only
// What the seed writer writes: a target, a name that says what is in the input, the input. Binary ones come from our
// own encoders, text ones from tables.
#pragma once

#include <string>
#include <vector>

namespace nfr::fuzz {

struct Seed {
  std::string target;
  std::string name;
  std::string input;
};

std::vector<Seed> binary_seeds();
std::vector<Seed> text_seeds();

}  // namespace nfr::fuzz
