// SPDX-License-Identifier: GPL-2.0-only
// Ends the visitors that wait in a listener's backlog while no relay process serves: they get RST, never silence.
// Called by the holder's loop; no byte of theirs is read.
#pragma once

namespace nfr::holder {

struct ResetResult {
  unsigned count = 0;  ///< connections ended by RST
  int os_errno = 0;    ///< what stopped it, other than an empty backlog; 0: nothing
};

/// Accepts and resets at most `count_max` queued connections of a non-blocking listener.
ResetResult reset_queued(int listener, unsigned count_max = 256);

}  // namespace nfr::holder
