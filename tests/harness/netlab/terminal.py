# SPDX-License-Identifier: GPL-2.0-only
"""A program at a terminal, as somebody sits at it: keys, window size, and what appears."""
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time


class Terminal:
    """The command's controlling terminal is ours, so that a changed window reaches it as SIGWINCH."""

    def __init__(self, words, rows, columns):
        self._ours, theirs = pty.openpty()
        self._seen = ""
        self.resize(rows, columns)
        self._child = subprocess.Popen(list(map(str, words)), stdin=theirs, stdout=theirs, stderr=theirs,
                                       start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(theirs)

    def resize(self, rows, columns):
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self._ours, text.encode())

    def expect(self, text, seconds=10):
        """Waits for the text, forgets all up to its end, and returns how long it took."""
        began = time.monotonic()
        while text not in self._seen:
            if not self._read(began + seconds):
                raise AssertionError(f"no {text!r} within {seconds} s or before the end, but: {self._seen!r}")
        self._seen = self._seen.split(text, 1)[1]
        return time.monotonic() - began

    def _read(self, deadline):
        """False at the deadline, and when the program has let go of its terminal (EIO)."""
        if not select.select([self._ours], [], [], max(0, deadline - time.monotonic()))[0]:
            return False
        try:
            self._seen += os.read(self._ours, 65536).decode(errors="replace")
        except OSError:
            return False
        return True

    def wait(self, seconds=10):
        """The exit code. What is written is read up to the end: a program that restores its terminal waits for that."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self._child.wait(max(1, deadline - time.monotonic()))

    def close(self):
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait(5)
        os.close(self._ours)
