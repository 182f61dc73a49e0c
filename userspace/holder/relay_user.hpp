// SPDX-License-Identifier: GPL-2.0-only
// Which user the relay process runs as. Resolved once by the holder, before anything is opened or forked.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.hpp"

namespace nfr::holder {

struct RelayUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;  ///< for people; the number when it has none
};

/// `wanted`: a user name, a uid, or empty for the default: `netferry` if there is such a user, else 65534 with one
/// line of notice in the log. kNotFound for an unknown name; kInvalid for root, whose files the relay must not own.
/// Without root nobody else can be become: the result is the present user, and any other wish is kDenied.
Result<RelayUser> resolve_relay_user(const std::string& wanted);

}  // namespace nfr::holder
