// SPDX-License-Identifier: GPL-2.0-only
// The join line: what `nfctl agent add` prints and `nfagent join` takes. Everything an agent needs for its first
// login: where the relay is, which keys to expect, who it will be, and a one-time token. Pure codec.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "core/nouns.hpp"

namespace nfr::proto {

inline constexpr std::size_t kJoinAddressesMax = 8;
inline constexpr std::size_t kJoinTokenBytes = 16;

struct JoinLine {
  std::vector<std::string> addresses;  ///< 1..8 of HOST:PORT, HOST an IP address ([v6] in brackets) or a name
  std::array<core::Pin, 2> pins{};     ///< current and next key of the relay
  std::string name;                    ///< agent name
  std::array<std::byte, kJoinTokenBytes> token{};
  bool operator==(const JoinLine&) const = default;
};

/// "nf1." + base64url of a versioned binary form that ends in a checksum, so that a cut paste is told from a wrong key.
std::string encode_join_line(const JoinLine& line);

/// Surrounding white space is ignored. Errors say whether the line is cut, damaged, or of another version.
Result<JoinLine> decode_join_line(std::string_view text);

}  // namespace nfr::proto
