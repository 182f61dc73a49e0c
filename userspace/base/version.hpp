// SPDX-License-Identifier: GPL-2.0-only
// The version of this source tree, as every program prints it.
#pragma once

namespace nfr {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace nfr
