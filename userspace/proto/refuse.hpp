// SPDX-License-Identifier: GPL-2.0-only
// RefuseReason: why a flow did not start. The enum, the names and the texts come from NFR_REFUSE_REASONS in the
// wire contract. Used by both daemons on any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "nfr/wire/wire.h"

namespace nfr::proto {

enum class RefuseReason : std::uint16_t {
#define NFR_REFUSE_ENUM(number, name, text) name = number,
  NFR_REFUSE_REASONS(NFR_REFUSE_ENUM)
#undef NFR_REFUSE_ENUM
};

std::string_view refuse_name(RefuseReason reason);  ///< "connection_refused", stable, for JSON
std::string_view refuse_text(RefuseReason reason);  ///< "connection refused", for people
/// Nothing for a number that this version does not know.
std::optional<RefuseReason> refuse_from_wire(std::uint16_t number);
/// The reason that tells best what connect(2) to the target said.
RefuseReason refuse_from_errno(int os_errno);

}  // namespace nfr::proto
