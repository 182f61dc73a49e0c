# SPDX-License-Identifier: GPL-2.0-only
"""nfrelayd, nfagent and nfctl as a user starts them, each with directories of its own.

Relay and Agent are supervised only where a test asks: start() and kill() are explicit, and restart() is what systemd
would do. The holder restarts its relay process itself; the harness never does that for it.
"""
import base64
import json
import os
import re
import signal
import subprocess
import time

from . import topology
from .process import Process, children_of, wait_until

RELAY_TOML = """public = {public}
heartbeat_ms = {heartbeat_ms}
agent_grace_ms = {agent_grace_ms}
"""


def binary(name, directory=None):
    """From the directory, else from NFR_BIN, else from the build directory beside the sources."""
    here = os.path.dirname(os.path.abspath(__file__))
    directory = directory or os.environ.get("NFR_BIN") or os.path.join(here, "..", "..", "..", "build", "bin")
    path = os.path.realpath(os.path.join(directory, name))
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is not there: build first, or set NFR_BIN to the directory of the binaries")
    return path


def io_line():
    """The line of both configuration files that chooses the loop's back end; NFR_IO, else the programs' own choice."""
    return f'io = "{os.environ["NFR_IO"]}"\n' if os.environ.get("NFR_IO") else ""


def _make_directory(path, mode):
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    return path


class Ctl:
    """nfctl against one relay."""

    class Failed(AssertionError):
        def __init__(self, words, done):
            super().__init__(f"nfctl {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
            self.code, self.stderr, self.stdout = done.returncode, done.stderr, done.stdout

    def __init__(self, socket_path, namespace):
        self.socket_path = socket_path
        self.namespace = namespace

    def run(self, *words, timeout=20):
        return subprocess.run([*self.namespace.enter_words(), binary("nfctl"), "--socket", self.socket_path,
                               *map(str, words)], capture_output=True, text=True, timeout=timeout)

    def text(self, *words):
        """Standard output and error of a command that must succeed."""
        done = self.run(*words)
        if done.returncode != 0:
            raise Ctl.Failed(list(map(str, words)), done)
        return done.stdout + done.stderr

    def json(self, *words):
        done = self.run("--json", *words)
        if done.returncode != 0:
            raise Ctl.Failed(list(map(str, words)), done)
        return json.loads(done.stdout)

    def fails(self, *words):
        """The error of a command that must fail."""
        done = self.run(*words)
        if done.returncode == 0:
            raise AssertionError(f"nfctl {' '.join(map(str, words))} succeeded: {done.stdout}")
        if not done.stderr.startswith("error: "):
            raise AssertionError(f"nfctl {words}: the error does not begin with 'error: ': {done.stderr!r}")
        return done.stderr

    def flows(self):
        return self.json("flows")["flows"]

    def recent(self):
        return self.json("flows", "--recent")["events"]


class Relay:
    """Holder and relay process of one instance."""

    def __init__(self, directory, namespace, public=(topology.TUNNEL4,), extra="", heartbeat_ms=1000,
                 agent_grace_ms=3000):
        self.namespace = namespace
        self.directory = _make_directory(directory, 0o755)
        self.state = os.path.join(directory, "state")
        self.run_dir = os.path.join(directory, "run")
        self.log_path = os.path.join(directory, "nfrelayd.log")
        self.config = os.path.join(directory, "relay.toml")
        self.process = None
        self.bin = self.environment = None  # another build's programs, more environment
        self.ctl = Ctl(os.path.join(self.run_dir, "ctl.sock"), namespace)
        with open(self.config, "w") as file:
            file.write(io_line() + RELAY_TOML.format(public=json.dumps(list(public)), heartbeat_ms=heartbeat_ms,
                                         agent_grace_ms=agent_grace_ms) + extra)

    def words(self, *extra):
        return [binary("nfrelayd", self.bin), "--config", self.config, "--state", self.state, "--run", self.run_dir, "--bpffs",
                os.path.join(self.directory, "bpffs"), *extra]

    def start(self, *extra, wait=True):
        self.process = Process("nfrelayd", self.namespace, self.words(*extra), self.log_path, env=self.environment)
        if wait:
            self.process.wait_log("ready\n")
        return self

    def ready_count(self):
        return self.process.log().count("ready\n")

    def relay_pid(self):
        """The unprivileged process; 0 while there is none."""
        children = children_of(self.process.pid) if self.process.alive() else []
        return children[0] if children else 0

    def kill_relay_process(self, number=signal.SIGKILL):
        """Kills the relay process alone and returns its pid; the holder is expected to start another."""
        pid = wait_until(self.relay_pid, 5, "a relay process to kill")
        os.kill(pid, number)
        wait_until(lambda: self.relay_pid() != pid, 6, f"relay process {pid} is gone")
        return pid

    def stop(self):
        if self.process is not None:
            self.process.stop()

    def restart(self):
        self.process.stop()
        return self.start()

    def listening(self, port):
        return f":{port} " in self.namespace.run("ss", "-Hltn")

    def join_line(self, name, verb="add"):
        text = self.ctl.text("agent", verb, name)
        found = re.search(r"nfagent join (nf1\.\S+)", text)
        if not found:
            raise AssertionError(f"no join line in: {text}")
        return found.group(1)


class Agent:
    """One nfagent; its state directory makes it the machine it is."""

    def __init__(self, directory, namespace, config="reconnect_min_ms = 100\nreconnect_max_ms = 500\n"):
        self.namespace = namespace
        self.directory = _make_directory(directory, 0o755)
        self.log_path = os.path.join(directory, "nfagent.log")
        self.config = os.path.join(directory, "agent.toml")
        self.state = os.path.join(directory, "state")
        self.process = None
        self.bin = self.environment = None  # as Relay's
        with open(self.config, "w") as file:
            file.write(io_line() + config)

    def words(self, *verb):
        return [binary("nfagent", self.bin), *verb, "--config", self.config, "--state", self.state, "--run",
                os.path.join(self.directory, "run")]

    def join(self, line, wait=True):
        return self._start(("join", line), wait)

    def start(self, wait=True):
        return self._start(("run",), wait)

    def _start(self, verb, wait):
        self.process = Process("nfagent", self.namespace, self.words(*verb), self.log_path, env=self.environment)
        if wait:
            self.wait_connected()
        return self

    def wait_connected(self, seconds=10):
        self.process.wait_log("connected to ", seconds)

    def login_ms(self):
        """How long the login took, by the agent's own line."""
        value, unit = re.search(r"connected to \S+ as \S+ in ([\d.]+) (us|ms|s)", self.process.log()).groups()
        return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]

    def once(self, *verb, timeout=20, stdin=None):
        """A run that is expected to end by itself."""
        return subprocess.run([*self.namespace.enter_words(), *self.words(*verb)], capture_output=True, text=True,
                              timeout=timeout, input=stdin)

    def stop(self):
        if self.process is not None:
            self.process.stop()

    def kill(self):
        self.process.kill()

    def restart(self, pause=0.1):
        """What Restart=always with RestartSec=100ms does."""
        if self.process.alive():
            self.process.stop()
        time.sleep(pause)
        return self.start(wait=False)


def _checksum(body):
    total = 2166136261
    for byte in body:
        total = (total ^ byte) * 16777619 & 0xFFFFFFFF
    return total.to_bytes(4, "big")


def _body_of(line):
    text = line.removeprefix("nf1.")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[:-4]


def _after_addresses(body):
    at = 1
    for _ in range(body[0]):
        at += 1 + body[at]
    return at


def _line_of(body):
    return "nf1." + base64.urlsafe_b64encode(body + _checksum(body)).decode().rstrip("=")


def line_with_addresses(line, addresses):
    """The join line with other relay addresses: an operator who has a DNS name, or this test's choice of a family."""
    body = _body_of(line)
    head = bytes([len(addresses)]) + b"".join(bytes([len(text)]) + text.encode() for text in addresses)
    return _line_of(head + body[_after_addresses(body):])


def line_with_wrong_pins(line):
    body = bytearray(_body_of(line))
    at = _after_addresses(body)
    for index in range(at, at + 64):
        body[index] ^= 0x5A
    return _line_of(bytes(body))
