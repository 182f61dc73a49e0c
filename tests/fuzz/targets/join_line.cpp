// SPDX-License-Identifier: GPL-2.0-only
// A join line as pasted. The first byte of the input chooses: text as it is, or the body of a line whose checksum and
// base64url are put right, so that the fields are reached.
#include "proto/join_line.hpp"

#include <cstdint>

#include "fuzz/target.hpp"

namespace {

/// FNV-1a, big-endian, as the format says.
std::string with_checksum(std::string_view body) {
  std::uint32_t sum = 2166136261U;
  for (const char c : body) sum = (sum ^ static_cast<unsigned char>(c)) * 16777619U;
  std::string out(body);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((sum >> shift) & 0xFFU);
  return out;
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  const bool body = input.starts_with('B');
  const std::string text = body ? "nf1." + base64url(as_bytes(with_checksum(input.substr(1)))) : std::string(input);
  const auto line = proto::decode_join_line(text);
  if (!line) return NFR_HOLDS(printable(line.error().message()));
  for (const std::string& address : line->addresses) NFR_HOLDS(printable(address));
  const std::string encoded = proto::encode_join_line(*line);
  NFR_HOLDS(text.find(encoded) != std::string::npos);
  const auto again = proto::decode_join_line(encoded);
  NFR_HOLDS(again.ok() && *again == *line);
}
