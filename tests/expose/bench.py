# SPDX-License-Identifier: GPL-2.0-only
"""A relay and an agent on loopback with directories and ports of their own, an echo target, and waiting for lines.

Everything is started here, ended by its own pid and removed at the end, also after a failure.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

BIN = pathlib.Path(os.environ.get("NFR_BIN", pathlib.Path(__file__).resolve().parents[2] / "build" / "bin"))
_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
QUICK = 'reconnect_min_ms = 50\nreconnect_max_ms = 300\n'


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what() if callable(what) else what}: not within {seconds} s")
        time.sleep(0.02)
    return value


class Program:
    """A child whose output goes to one file; ends with the test, however that ends."""

    def __init__(self, log, words, env=None):
        self.log_path = log
        clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("NETFERRY")}
        with open(log, "ab") as out:
            self.start = out.tell()
            self.child = subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          env={**clean, **(env or {})}, start_new_session=True,
                                          preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))

    def output(self):
        with open(self.log_path, "rb") as file:
            file.seek(self.start)
            return file.read().decode(errors="replace")

    def wait_for(self, pattern, seconds=15):
        """The match of a regular expression in what it wrote."""
        return wait_until(lambda: re.search(pattern, self.output()), seconds, lambda: f"{pattern!r} in:\n{self.output()}")

    def send(self, number):
        self.child.send_signal(number)

    def wait(self, seconds=10):
        return self.child.wait(timeout=seconds)

    def end(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()


class Echo:
    """A target that sends back what it gets, a connection a thread."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @staticmethod
    def _serve(connection):
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)

    def close(self):
        # A thread in accept() keeps a closed listener alive: shutdown wakes it.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Bench(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="nfr-expose-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.echo = Echo()
        self.addCleanup(self.echo.close)
        self.tunnel = free_port()
        self.relay = None
        self.start_relay()

    def run_program(self, name, words, env=None):
        program = Program(self.dir / f"{name}.log", words, env)
        self.addCleanup(program.end)
        return program

    def start_relay(self):
        (self.dir / "relay.toml").write_text(
            f'listen = "127.0.0.1:{self.tunnel}"\npublic = ["127.0.0.1"]\nheartbeat_ms = 500\n')
        words = [BIN / "nfrelayd", "--single", "--config", self.dir / "relay.toml", "--state", self.dir / "relay",
                 "--run", self.dir / "relay"]
        self.relay = self.run_program("relay", words)
        self.relay.wait_for("ready")

    def admin(self, command, **args):
        """One request to the relay, as docs/admin-api.md says."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(str(self.dir / "relay" / "ctl.sock"))
            link.sendall(json.dumps({"v": 1, "id": 1, "cmd": command, "args": args}).encode() + b"\n")
            answer = json.loads(link.makefile().readline())
        self.assertTrue(answer["ok"], answer)
        return answer["result"]

    def agent_words(self, *words, config=QUICK):
        (self.dir / "agent.toml").write_text(config)
        return [BIN / "nfagent", *words, "--config", self.dir / "agent.toml", "--state", self.dir / "agent", "--run",
                self.dir / "agent"]

    def join(self, config=QUICK, env=None):
        line = self.admin("agent.add", name="client1")["join_line"]
        agent = self.run_program("agent", self.agent_words("join", line, config=config), env)
        agent.wait_for("connected to")
        return agent

    def start_agent(self, config=QUICK, env=None):
        agent = self.run_program("agent", self.agent_words("run", config=config), env)
        agent.wait_for("connected to")
        return agent

    def nfagent(self, *words):
        """A command that ends by itself; its exit code and all it wrote."""
        program = self.run_program(f"command{time.monotonic_ns()}", [BIN / "nfagent", *words, "--config",
                                                                    self.dir / "agent.toml", "--run", self.dir / "agent"])
        return program.wait(20), program.output()

    def expose(self, *words):
        return self.run_program(f"expose{time.monotonic_ns()}", [BIN / "nfagent", "expose", *words, "--config",
                                                                self.dir / "agent.toml", "--run", self.dir / "agent"])

    def visit(self, port, data=b"hello"):
        """Connects and has the data echoed; the connection stays open."""
        visitor = socket.create_connection(("127.0.0.1", int(port)), timeout=10)
        self.addCleanup(visitor.close)
        visitor.sendall(data)
        got = b""
        while len(got) < len(data):
            piece = visitor.recv(65536)
            self.assertTrue(piece, "the echo ended early")
            got += piece
        self.assertEqual(got, data)
        return visitor
