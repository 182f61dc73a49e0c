// SPDX-License-Identifier: GPL-2.0-only
// Sequence: the keyed bytes of one direction of a test stream, addressable by offset, and a hash over them. The
// first eight bytes are the key itself, so that a receiver knows from the stream whose bytes it should be. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace nfr::stream {

inline constexpr std::size_t kKeyBytes = 8;

inline std::uint64_t mix(std::uint64_t value) {  // splitmix64's finisher
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

inline std::uint64_t word_of(std::uint64_t key, std::uint64_t index) {
  return index == 0 ? key : mix(key + index * 0x9e3779b97f4a7c15ULL);
}

/// The bytes from `offset` on.
inline void fill(std::uint64_t key, std::uint64_t offset, std::span<std::byte> out) {
  std::uint64_t index = offset / 8;
  std::size_t skip = offset % 8;
  for (std::size_t at = 0; at < out.size(); ++index) {
    const std::uint64_t word = word_of(key, index);
    const std::size_t count = std::min<std::size_t>(8 - skip, out.size() - at);
    std::memcpy(out.data() + at, reinterpret_cast<const char*>(&word) + skip, count);
    at += count;
    skip = 0;
  }
}

/// Where `bytes`, received at `offset`, first differ from the sequence; nothing if they are right.
inline std::optional<std::size_t> first_wrong(std::uint64_t key, std::uint64_t offset,
                                              std::span<const std::byte> bytes) {
  std::uint64_t index = offset / 8;
  std::size_t skip = offset % 8;
  for (std::size_t at = 0; at < bytes.size(); ++index) {
    const std::uint64_t word = word_of(key, index);
    const std::size_t count = std::min<std::size_t>(8 - skip, bytes.size() - at);
    if (std::memcmp(bytes.data() + at, reinterpret_cast<const char*>(&word) + skip, count) != 0) {
      for (std::size_t i = 0; i < count; ++i) {
        if (bytes[at + i] != reinterpret_cast<const std::byte*>(&word)[skip + i]) return at + i;
      }
    }
    at += count;
    skip = 0;
  }
  return std::nullopt;
}

/// A hash of a byte string fed in pieces of any size.
class Hash {
 public:
  void add(std::span<const std::byte> bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t count = std::min(sizeof pending_ - held_, bytes.size() - at);
      std::memcpy(reinterpret_cast<char*>(&pending_) + held_, bytes.data() + at, count);
      held_ += count;
      at += count;
      if (held_ < sizeof pending_) return;
      state_ = mix(state_ ^ pending_) + 0x9e3779b97f4a7c15ULL;
      held_ = 0;
      pending_ = 0;
    }
  }
  std::uint64_t value() const { return mix(state_ ^ pending_ ^ held_); }

 private:
  std::uint64_t state_ = 0x6a09e667f3bcc908ULL;
  std::uint64_t pending_ = 0;
  std::size_t held_ = 0;
};

}  // namespace nfr::stream
