# SPDX-License-Identifier: GPL-2.0-only
"""Processes that a run starts end with it."""
import ctypes
import signal

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """As preexec_fn: a run that is killed hard takes the process along."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
