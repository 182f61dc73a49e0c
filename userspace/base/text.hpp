// SPDX-License-Identifier: GPL-2.0-only
// Text from strangers and for people: escaping, base64url, hex, durations, byte counts. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace nfr {

/// Peer-supplied bytes made safe for logs and tables: control, DEL, backslash, bidi and invisible format characters
/// and bytes that are not valid UTF-8 (C1 controls included) become \xNN; longer than max_bytes of output is cut and
/// ends in "...".
std::string escape(std::string_view untrusted, std::size_t max_bytes = 200);

/// RFC 4648 section 5, without padding.
std::string base64url(std::span<const std::byte> bytes);
Result<std::string> base64url_decode(
    std::string_view text);  ///< raw bytes in a string; kInvalid on any stray character

std::string hex(std::span<const std::byte> bytes);
Result<std::string> hex_decode(std::string_view text);  ///< raw bytes in a string

/// First 8 bytes of a key hash for people: "3f9a 77c1".  Takes >= 4 bytes.
std::string fingerprint(std::span<const std::byte> digest);

std::string human_duration(Micros duration);   ///< "43 us", "0.4 ms", "21 ms", "12 s", "4 min", "3 d"
std::string human_bytes(std::uint64_t bytes);  ///< "310 B", "1.1 kB", "880 MB" (decimal, as operators count)
std::string utc_time(WallTime time);           ///< "Mon 23 Nov 04:10 UTC"

/// Bytes of a string as a span and back, for codecs and digests.
inline std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace nfr
