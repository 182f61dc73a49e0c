// SPDX-License-Identifier: GPL-2.0-only
// Giving up rights: all of them in the relay process (between fork and exec), all but a short list in the holder.
// Single-threaded callers only. seccomp is the relay's own affair, after it has opened what it needs.
#pragma once

#include <sys/types.h>

#include "base/result.hpp"
#include "holder/relay_user.hpp"

namespace nfr::holder {

/// For the child after fork: becomes `user` without supplementary groups, empties every capability set (the bounding
/// set where CAP_SETPCAP allows), sets no_new_privs, and dies with its parent (PDEATHSIG). `parent` is the pid that
/// forked; if it is gone already the result is kUnavailable. Verifies what it did. Without root the user stays.
Status drop_all_privileges(const RelayUser& user, pid_t parent);

/// For the holder: keeps of its capabilities CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON, CAP_NET_BIND_SERVICE, CAP_NET_RAW,
/// CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_KILL as far as it has them, in the permitted, effective and bounding
/// sets. Without root nothing changes but the inheritable set.
Status keep_holder_capabilities();

}  // namespace nfr::holder
