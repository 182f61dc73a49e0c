# SPDX-License-Identifier: GPL-2.0-only
"""How a TCP connection ends, as its peer sees it, and a pair of sockets joined by a mapping."""
import contextlib
import select
import socket
import struct
import threading
import time

FIN, RST = "FIN", "RST"


def reset(connection):
    """Closes with an RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_to_end(connection, seconds=10):
    """Everything that comes, and how it ended."""
    connection.settimeout(seconds)
    received = bytearray()
    try:
        while data := connection.recv(1 << 16):
            received += data
        return bytes(received), FIN
    except ConnectionResetError:
        return bytes(received), RST


def read_exactly(connection, size, seconds=10):
    connection.settimeout(seconds)
    received = bytearray()
    while len(received) < size:
        data = connection.recv(size - len(received))
        if not data:
            raise AssertionError(f"EOF after {len(received)} of {size} bytes")
        received += data
    return bytes(received)


def end_within(connection, seconds):
    """How a connection from which nothing more is expected ends (None: it goes on), and after how long."""
    began = time.monotonic()
    connection.setblocking(False)
    while (left := began + seconds - time.monotonic()) > 0:
        select.select([connection], [], [], left)
        try:
            data = connection.recv(1 << 16)
        except BlockingIOError:
            continue
        except ConnectionResetError:
            return RST, time.monotonic() - began
        if not data:
            return FIN, time.monotonic() - began
    return None, seconds


class Target:
    """A listening socket, in the agent's namespace if no other is named, that hands out what it accepts."""

    def __init__(self, lab, port, address="127.0.0.1", backlog=512, namespace=None):
        self.socket = (namespace or lab.net.agent).listen(address, port, backlog)
        self.socket.settimeout(10)
        lab.defer(self.close)

    def accept(self):
        return self.socket.accept()[0]

    def close(self):
        self.socket.close()


class EchoTarget(Target):
    """Answers every connection with what it sends, each in a thread of its own."""

    def __init__(self, lab, port, address="127.0.0.1", namespace=None):
        super().__init__(lab, port, address, namespace=namespace)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection = self.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # closed
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    @staticmethod
    def _echo(connection):
        connection.settimeout(None)
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                connection.sendall(data)


def echoes(lab, address, port, text=b"are you there", seconds=2):
    """Whether a visitor of an echo mapping gets an answer now."""
    try:
        with lab.net.visitor.connect(address, port, timeout=seconds) as visitor:
            visitor.sendall(text)
            return read_exactly(visitor, len(text), seconds) == text
    except (OSError, AssertionError):
        return False


def refusal(lab, address, port, seconds=2):
    """How a new visitor is turned away, (None: it is not), and after how long."""
    began = time.monotonic()
    try:
        visitor = lab.net.visitor.connect(address, port)
    except ConnectionResetError:  # the RST was here before the connect returned
        return RST, time.monotonic() - began
    with visitor:
        how, _ = end_within(visitor, seconds)
    return how, time.monotonic() - began
