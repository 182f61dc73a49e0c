# SPDX-License-Identifier: GPL-2.0-only
"""Asks guest/commands.py in a guest, through the socket that QEMU makes of the guest's second serial port."""
import json
import select
import socket
import time

from . import machine

# What an answer may take beyond the time that the request itself allows.
GRACE_S = 15


class Failed(Exception):
    """A check did not find what it expects; the text says what it found."""


class Channel:
    """To one guest; one request at a time."""

    def __init__(self, guest: machine.Guest):
        self.guest = guest
        self._socket: socket.socket | None = None
        self._rest = b""
        self._id = 0

    def connect(self, seconds: float = 10) -> None:
        """To QEMU: as soon as it has made the socket, long before the guest listens."""
        deadline = time.monotonic() + seconds
        while True:
            made = socket.socket(socket.AF_UNIX)
            try:
                made.connect(str(self.guest.channel))
                self._socket = made
                return
            except OSError as problem:
                made.close()
                if self.guest.process.poll() is not None or time.monotonic() > deadline:
                    log = "\n".join(self.guest.qemu_log())
                    raise Failed(f"QEMU of {self.guest.name} does not run ({problem}): {log[-500:]}") from problem
                time.sleep(0.05)

    def _gone(self) -> Failed:
        said = [*self.guest.log()[-5:], *self.guest.qemu_log()[-5:]]
        return Failed("\n  ".join([f"guest {self.guest.name} is gone; its console and QEMU end with:", *said]))

    def _line(self, deadline: float) -> bytes | None:
        """None: past the deadline."""
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                return None
            try:
                got = self._socket.recv(65536)
            except ConnectionError as problem:
                raise self._gone() from problem
            if not got:
                raise self._gone()
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def ask(self, seconds: float = 0, /, **request) -> dict:
        """The answer to a request; Failed when the guest does not give one in time or says it could not."""
        self._id += 1
        try:
            self._socket.sendall(json.dumps({**request, "id": self._id}).encode() + b"\n")
        except ConnectionError as problem:
            raise self._gone() from problem
        deadline = time.monotonic() + seconds + GRACE_S
        while (line := self._line(deadline)) is not None:
            try:
                answer = json.loads(line)
            except ValueError:
                continue
            if answer.get("id") != self._id:
                continue
            if "error" in answer:
                raise Failed(f"guest {self.guest.name}, {next(iter(request))}: {answer['error']}")
            return answer
        raise Failed(f"guest {self.guest.name} gave no answer in {seconds + GRACE_S:.0f} s to {request}")

    def wait_ready(self, seconds: float) -> None:
        """Until the guest's program has said that it listens."""
        deadline = time.monotonic() + seconds
        while (line := self._line(deadline)) is not None:
            if b'"ready"' in line:
                return
        raise Failed(f"guest {self.guest.name} was not up after {seconds:.0f} s; its console ends with:\n  " +
                     "\n  ".join(self.guest.log()[-20:]))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
