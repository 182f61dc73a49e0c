// SPDX-License-Identifier: GPL-2.0-only
// Why a flow was refused: the enum, its names and texts, all made from the one list in the wire contract.
#pragma once

#include <cstdint>
#include <string_view>

#include "nfr/wire/wire.h"

namespace nfr::proto {

enum class RefuseReason : std::uint16_t {
  none = 0,  // NOLINT(readability-identifier-naming): enumerators come from the contract's list
#define NFR_X(number, name, text) name = number,
  NFR_REFUSE_REASONS(NFR_X)
#undef NFR_X
};

/// Text for people; a number this build does not know yields "unknown reason".
constexpr std::string_view refuse_text(RefuseReason reason) {
  switch (reason) {
    case RefuseReason::none: return "ready";
#define NFR_X(number, name, text) \
  case RefuseReason::name: return text;
    NFR_REFUSE_REASONS(NFR_X)
#undef NFR_X
  }
  return "unknown reason";
}

}  // namespace nfr::proto
