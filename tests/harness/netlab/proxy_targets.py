# SPDX-License-Identifier: GPL-2.0-only
"""Targets that want a PROXY header: nginx, haproxy and a strict one of our own, in the agent's namespace.

Each listens on 127.0.0.1, on ::1 and on a Unix socket. nginx and haproxy answer every request with what they make of
the header: "SOURCE PORT DESTINATION PORT". The strict one records and then echoes.
"""
import contextlib
import dataclasses
import os
import queue
import socket
import threading

from . import proxy_header, services
from .case import need_program
from .sockets import reset


class Server:
    """A program with a log in which nothing may complain about a header."""

    def __init__(self, process, port, unix_path):
        self.process, self.port, self.unix_path = process, port, unix_path

    def log(self):
        return self.process.log()


def nginx(lab, port, header=True):
    """The log has every connection (level info), also those without a request. `header` off: an ordinary server."""
    name = f"nginx-{port}"
    directory = lab.path(name)
    os.makedirs(directory)
    option = " proxy_protocol" if header else ""
    listen = " ".join(f"listen {where}{option};" for where in (f"127.0.0.1:{port}", f"[::1]:{port}", f"unix:{directory}/s"))
    prefix = "$proxy_protocol" if header else "$remote"
    own = "$proxy_protocol_server" if header else "$server"
    temporary = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(f"{directory}/conf", "w") as file:
        file.write(f"daemon off; user root; pid {directory}/pid; error_log stderr info; worker_processes 1;\n"
                   f"events {{ worker_connections 1024; }}\nhttp {{ access_log off; {temporary}\n"
                   f"server {{ {listen} location / {{ default_type text/plain;\n"
                   f'return 200 "{prefix}_addr {prefix}_port {own}_addr {own}_port"; }} }} }}\n')
    process = services.serve(lab, name, [need_program("nginx"), "-e", "stderr", "-c", f"{directory}/conf"], port)
    return Server(process, port, f"{directory}/s")


def haproxy(lab, port):
    """Logs every connection to standard output, those that send nothing too."""
    directory = lab.path("haproxy")
    os.makedirs(directory)
    binds = "\n".join(f"  bind {where} accept-proxy" for where in (f"127.0.0.1:{port}", f"[::1]:{port}", f"unix@{directory}/s"))
    with open(f"{directory}/conf", "w") as file:
        file.write("global\n  log stdout format raw local0\ndefaults\n  mode http\n  log global\n  option httplog\n"
                   f"  timeout client 10s\nfrontend headers\n{binds}\n  http-request return status 200 content-type text/plain "
                   'lf-string "%[src] %[src_port] %[dst] %[dst_port]"\n')
    process = services.serve(lab, "haproxy", [need_program("haproxy"), "-db", "-f", f"{directory}/conf"], port)
    return Server(process, port, f"{directory}/s")


@dataclasses.dataclass
class Seen:
    """A connection of the strict target. payload: what was read together with the header."""
    connection: socket.socket
    header: proxy_header.Header | None = None
    problem: str = ""
    payload: bytes = b""


class Strict:
    """Takes connections whose header passes proxy_header.parse(), resets all others; take() hands out both.

    With `greeting` it speaks first, as a mail or SSH server does.
    """
    ENDED = b"<end>"

    def __init__(self, lab, port, greeting=b""):
        self.port, self.unix_path = port, lab.path(f"strict-{port}")
        self._greeting = greeting
        self._seen = queue.Queue()
        by_path = socket.socket(socket.AF_UNIX)
        by_path.bind(self.unix_path)
        by_path.listen(64)
        for listener in (lab.net.agent.listen("127.0.0.1", port), lab.net.agent.listen("::1", port), by_path):
            lab.defer(listener.close)
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def take(self, seconds=5):
        """The next connection; its header came whole in the first segment, as the specification asks."""
        try:
            return self._seen.get(timeout=seconds)
        except queue.Empty as nothing:
            raise AssertionError(f"no connection at the strict target within {seconds} s") from nothing

    def none_left(self):
        return self._seen.empty()

    def _accept(self, listener):
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        seen = self._read_header(connection)
        self._seen.put(seen)
        with contextlib.suppress(OSError):
            if seen.problem:
                reset(connection)
            else:
                self._answer(seen)

    def _read_header(self, connection):
        seen = Seen(connection)
        try:
            data = connection.recv(1 << 16)
            seen.header = proxy_header.parse(data)
            seen.problem = "" if seen.header else f"the first segment is no whole header: {data!r}"
            seen.payload = data[len(seen.header.raw):] if seen.header else b""
        except (OSError, proxy_header.Malformed) as problem:
            seen.problem = f"{type(problem).__name__}: {problem}"
        return seen

    def _answer(self, seen):
        """Everything comes back; after the visitor's FIN there is one more word."""
        with seen.connection as connection:
            connection.sendall(self._greeting + seen.payload)
            while data := connection.recv(1 << 16):
                connection.sendall(data)
            connection.sendall(self.ENDED)
