// SPDX-License-Identifier: GPL-2.0-only
// Id<Tag>: a 64-bit identifier that cannot be mixed up with another kind of identifier. 0 means none.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace nfr {

template <class Tag>
struct Id {
  std::uint64_t value = 0;
  auto operator<=>(const Id&) const = default;
  explicit operator bool() const { return value != 0; }
};

}  // namespace nfr

template <class Tag>
struct std::hash<nfr::Id<Tag>> {
  std::size_t operator()(const nfr::Id<Tag>& id) const noexcept { return std::hash<std::uint64_t>{}(id.value); }
};
