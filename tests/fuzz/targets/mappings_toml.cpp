// SPDX-License-Identifier: GPL-2.0-only
// Text of a file for nfctl apply: mappings that are the same after writing and reading, or one line that names the
// file and can be printed.
#include "config/mappings_file.hpp"

#include "fuzz/target.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto mappings = config::parse_mappings(input, "m.toml");
  if (!mappings) {
    NFR_HOLDS(mappings.error().code() == Code::kInvalid);
    NFR_HOLDS(mappings.error().message().starts_with("m.toml, line "));
    return NFR_HOLDS(printable(mappings.error().message()));
  }
  const std::string written = config::write_mappings(*mappings);
  const auto again = config::parse_mappings(written, "again");
  NFR_HOLDS(again && again->size() == mappings->size());
  NFR_HOLDS(config::write_mappings(*again) == written);
}
