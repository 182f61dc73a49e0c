// SPDX-License-Identifier: GPL-2.0-only
// Text from strangers: whatever the bytes, escape() gives a line that a terminal only shows, and the decoders of
// base64url and hex accept exactly what their encoders write.
#include "base/text.hpp"

#include "core/nouns.hpp"
#include "fuzz/target.hpp"

namespace {

/// Decoded code points of valid UTF-8.
std::uint32_t next_code_point(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text.at(i))); };
  const std::uint32_t lead = byte(0);
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  std::uint32_t value = length == 1 ? lead : lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) value = value << 6 | (byte(i) & 0x3FU);
  text.remove_prefix(length);
  return value;
}

/// Control characters, and those that reorder or hide what stands around them (Unicode's Bidi_Control and friends).
bool obeyed_by_terminals(std::uint32_t c) {
  if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return true;
  if (c == 0x061C || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E)) return true;
  return (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xE0000 && c <= 0xE007F);
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  const std::string escaped = escape(input, 1000);
  NFR_HOLDS(escaped.size() <= 1003);
  for (std::string_view rest = escaped; !rest.empty();) NFR_HOLDS(!obeyed_by_terminals(next_code_point(rest)));
  if (const auto raw = base64url_decode(input)) NFR_HOLDS(base64url(as_bytes(*raw)) == input);
  if (const auto raw = hex_decode(input)) NFR_HOLDS(hex(as_bytes(*raw)) == input);
  const auto encoded = base64url(as_bytes(input));
  NFR_HOLDS(*base64url_decode(encoded) == input);
  NFR_HOLDS(*hex_decode(hex(as_bytes(input))) == input);
  if (const auto name = core::parse_agent_name(input)) NFR_HOLDS(*name == input && escape(input) == input);
}
