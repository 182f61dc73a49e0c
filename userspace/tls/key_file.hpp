// SPDX-License-Identifier: GPL-2.0-only
// Internal to tls: private keys on disk, PEM PKCS8, mode 0600. Called by Identity at start and at key rotation, on
// the control thread; blocks for fsync.
#pragma once

#include <string>

#include "tls/parts.hpp"

namespace nfr::tls {

/// kNotFound if there is no such file, kDenied if others may read it, kInvalid for anything but an Ed25519 key.
Result<PkeyPtr> read_key_file(const std::string& path);

enum class Replace { kYes, kNo };
/// Written aside, fsynced, renamed, directory fsynced: after a crash the old file or the whole new one is there.
/// kExists with Replace::kNo when the file is there already.
Status write_key_file(const std::string& path, EVP_PKEY* key, Replace replace);

}  // namespace nfr::tls
