// SPDX-License-Identifier: GPL-2.0-only
// What every StateStore asks of a record before it keeps it, and the precision it keeps. Pure; shared by the real
// store and the in-memory one, so that the simulator refuses exactly what the disk refuses.
#pragma once

#include "base/result.hpp"
#include "core/nouns.hpp"

namespace nfr::store {

/// kInvalid when the record could not be read back: a bad name, an endpoint or target without port, a negative timeout.
Status check_storable(const core::AgentRecord& record);
Status check_storable(const core::Mapping& mapping);
Status check_storable(const core::PortMemory& memory);

/// Wall times are stored as whole unix milliseconds, rounded down.
WallTime stored_time(WallTime time);

/// The texts of errors that both stores give.
Error agent_exists(std::string_view name);
Error mapping_exists(const core::PublicPorts& ports);
Error no_such_agent(core::AgentId id);
Error no_such_mapping(core::MappingId id);

}  // namespace nfr::store
