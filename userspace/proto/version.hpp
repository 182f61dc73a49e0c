// SPDX-License-Identifier: GPL-2.0-only
// Which version of the protocol a session speaks: the newest that both sides know. Pure, any thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "nfr/wire/wire.h"

namespace nfr::proto {

/// The versions a program speaks, both ends included; oldest <= newest.
struct VersionRange {
  std::uint32_t oldest = NFR_WIRE_VERSION_OLDEST;
  std::uint32_t newest = NFR_WIRE_VERSION;
  bool contains(std::uint32_t version) const { return version >= oldest && version <= newest; }
  std::string text() const;  ///< "1", "1 to 3"
  bool operator==(const VersionRange&) const = default;
};

/// The newest version of both ranges. kProtocol: there is none; the text says which program to upgrade, and is made
/// for both sides' people.
Result<std::uint32_t> agree_version(VersionRange agent, VersionRange relay);

}  // namespace nfr::proto
