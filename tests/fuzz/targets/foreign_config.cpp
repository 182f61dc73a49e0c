// SPDX-License-Identifier: GPL-2.0-only
// Text of another tunnel's file, as each format that import knows: mappings that apply takes, with leftovers that can
// be printed, or one line that names the file. The first byte chooses the format.
#include "fuzz/target.hpp"
#include "migrate/import.hpp"

namespace {

using nfr::migrate::Format;

void one_format(std::string_view text, Format format, const char* name) {
  const auto imported = nfr::migrate::import_files({{name, std::string(text)}}, format, "client1");
  if (!imported) {
    NFR_HOLDS(imported.error().message().starts_with(name));
    return NFR_HOLDS(nfr::fuzz::printable(imported.error().message()));
  }
  NFR_HOLDS(nfr::config::parse_mappings(nfr::config::write_mappings(imported->mappings), "m").ok());
  for (const auto& left : imported->leftovers) {
    NFR_HOLDS(nfr::fuzz::printable(left.setting) && nfr::fuzz::printable(left.why) && !left.why.empty());
  }
  for (const std::string& command : imported->commands) NFR_HOLDS(nfr::fuzz::printable(command));
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  if (input.empty()) return;
  const std::string_view text = input.substr(1);
  switch (input[0]) {
    case 'c': return one_format(text, Format::kFrpc, "x.toml");
    case 'i': return one_format(text, Format::kFrpc, "x.ini");
    case 's': return one_format(text, Format::kFrps, "x.toml");
    case 'r': return one_format(text, Format::kRathole, "x.toml");
    default: return one_format(text, Format::kPortProxy, "x.yaml");
  }
}
