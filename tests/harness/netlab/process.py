# SPDX-License-Identifier: GPL-2.0-only
"""A child process inside a namespace, with its log in a file, and the figures /proc has about a process.

Every process is started here and ended by its own pid; nothing is ever killed by name.
"""
import ctypes
import os
import signal
import subprocess
import time

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def _die_with_parent():
    # A test that is killed hard takes its daemons along.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(condition, seconds, what, step=0.01):
    """Polls until condition() is true and returns its value; raises with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(step)


class Process:
    """nsenter execs the command, so that .pid is the command's own."""

    def __init__(self, name, namespace, words, log_path, env=None, stdin=subprocess.DEVNULL):
        self.name = name
        self.words = list(map(str, words))
        self.log_path = log_path
        self._log = open(log_path, "ab")
        self.log_start = self._log.tell()
        enter = namespace.enter_words() if namespace is not None else []
        self.started = time.monotonic()
        self._child = subprocess.Popen(enter + self.words, stdin=stdin, stdout=self._log, stderr=self._log,
                                       env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent,
                                       start_new_session=True)

    @property
    def pid(self):
        return self._child.pid

    def alive(self):
        return self._child.poll() is None

    def exit_code(self):
        return self._child.poll()

    def log(self):
        """What this process, not its predecessors in the same file, has written."""
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def wait_log(self, text, seconds=10):
        def seen():
            if text in self.log():
                return True
            if not self.alive() and text not in self.log():
                raise AssertionError(f"{self.name} ended with {self.exit_code()} before it wrote {text!r}:\n{self.log()}")
            return False
        wait_until(seen, seconds, f"{self.name} writes {text!r}; it wrote:\n{self.log()}")

    def signal(self, number):
        if self.alive():
            self._child.send_signal(number)

    def wait(self, seconds=10):
        return self._child.wait(timeout=seconds)

    def stop(self, seconds=5):
        """SIGTERM, then SIGKILL; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            code = self._child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait(timeout=5)
        self._log.close()
        return code

    def kill(self):
        self._child.kill()
        return self._child.wait(timeout=10)


def status_field(pid, field):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(field + ":"):
                return line.split(":", 1)[1].strip()
    raise KeyError(field)


def private_kib(pid):
    """Memory that would come back if the process ended: private pages, clean and dirty."""
    total = 0
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Private_"):
                total += int(line.split()[1])
    return total


def descriptor_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def mem_available_kib():
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1])
    raise KeyError("MemAvailable")


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return list(map(int, file.read().split()))
