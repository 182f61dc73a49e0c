# SPDX-License-Identifier: GPL-2.0-only
"""How a test of tests/netns runs: capabilities, one lab, named steps with their time, logs on failure, cleanup.

A test file calls main(step, step, ...); each step takes the Lab. Exit code 0 all passed, 1 failed, 77 a named
capability is missing. NFR_SCALE (1 in CI, 10 in soak, a fraction where code is emulated) multiplies counts.
"""
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

from . import topology
from .daemons import Agent, Relay

SKIP_EXIT_CODE = 77
LOG_TAIL_LINES = 60


def scale():
    text = os.environ.get("NFR_SCALE") or "1"
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 1000:
        sys.exit(f"NFR_SCALE is '{text}': a number above 0 and up to 1000 is wanted")
    return value


def scaled(count, least=1):
    """A count of CI, by NFR_SCALE; never below what the case needs to mean anything."""
    return max(least, round(count * scale()))


def seed():
    """NFR_SEED, else a fresh one; printed by main, so that a failure can be had again."""
    return int(os.environ.get("NFR_SEED") or int.from_bytes(os.urandom(4), "big"))


class Skip(Exception):
    """A named capability is missing."""


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def check_in(part, text, what):
    if part not in text:
        raise AssertionError(f"{what}: expected {part!r} in:\n{text}")


def note(text):
    print(f"  {text}", flush=True)


def need_program(name):
    """A service from a Debian package; scripts/deps installs it."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise Skip(f"program {name}")
    return path


def need_namespaces():
    if os.geteuid() != 0:
        raise Skip("root")
    for program in ("ip", "nsenter", "sysctl", "ss"):
        need_program(program)
    try:
        probe = topology.Namespace(f"nft{os.getpid()}p")
    except (RuntimeError, OSError) as problem:
        raise Skip(f"network-namespaces ({problem})") from problem
    probe.remove()


class Lab:
    """Topology, one relay, agents, and whatever else a test adds; close() undoes all of it in reverse order."""

    def __init__(self):
        self.seed = seed()
        self.random = random.Random(self.seed)
        self._undo = []
        self.directory = tempfile.mkdtemp(prefix="nfr-netns-")
        self.defer(lambda: shutil.rmtree(self.directory, ignore_errors=True))
        os.chmod(self.directory, 0o755)  # the relay process has a user of its own
        self.net = topology.Topology()
        self.defer(self.net.remove)
        self.logs = []
        self.relay = None
        self.agents = {}

    def defer(self, action):
        self._undo.append(action)

    def path(self, name):
        return os.path.join(self.directory, name)

    def make_relay(self, name="relay", namespace=None, **options):
        """A relay that is not started yet."""
        relay = Relay(self.path(name), namespace or self.net.relay, **options)
        self.logs.append(relay.log_path)
        self.defer(relay.stop)
        return relay

    def start_relay(self, **options):
        self.relay = self.make_relay(**options)
        return self.relay.start()

    def make_agent(self, name, directory=None, namespace=None, **options):
        agent = Agent(self.path(directory or f"agent-{name}"), namespace or self.net.agent, **options)
        self.logs.append(agent.log_path)
        self.defer(agent.stop)
        return agent

    def add_agent(self, name, **options):
        """Adds the agent at the relay and joins it by the line that is printed."""
        agent = self.make_agent(name, **options)
        self.agents[name] = agent
        return agent.join(self.relay.join_line(name))

    def track(self, process):
        """A process of the test's own: stopped at the end, its log shown on failure."""
        self.logs.append(process.log_path)
        self.defer(process.stop)
        return process

    def show_logs(self):
        for path in dict.fromkeys(self.logs):
            if not os.path.exists(path):
                continue
            with open(path, errors="replace") as file:
                lines = file.read().splitlines()
            print(f"---- {os.path.relpath(path, self.directory)} ({len(lines)} lines, the last {LOG_TAIL_LINES}):")
            print("\n".join(lines[-LOG_TAIL_LINES:]))

    def close(self):
        while self._undo:
            try:
                self._undo.pop()()
            except Exception as problem:  # the rest must still be undone
                print(f"cleanup: {problem}", flush=True)


def _run_steps(lab, steps):
    for step in steps:
        began = time.monotonic()
        try:
            step(lab)
        except Exception:
            print(f"FAILED {step.__name__} after {time.monotonic() - began:.1f} s", flush=True)
            traceback.print_exc(file=sys.stdout)
            lab.show_logs()
            return 1
        print(f"ok {step.__name__} {time.monotonic() - began:.1f} s", flush=True)
    return 0


def _chosen(steps):
    """Names on the command line choose steps; the first, which sets up, always runs."""
    names = sys.argv[1:]
    unknown = set(names) - {step.__name__ for step in steps}
    if unknown:
        sys.exit(f"no such step: {', '.join(sorted(unknown))}; there are: {', '.join(s.__name__ for s in steps)}")
    return [step for step in steps if not names or step.__name__ in names or step is steps[0]]


def main(*steps, needs=()):
    # The namespaces must go even then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("FAILED: NFR_TIMEOUT seconds are over"))
    signal.alarm(int(os.environ.get("NFR_TIMEOUT", "0")))  # shortly before ctest kills without asking
    lab = None
    try:
        need_namespaces()
        for program in needs:
            need_program(program)
        lab = Lab()
        print(f"seed {lab.seed} (NFR_SEED), scale {scale():g} (NFR_SCALE)", flush=True)
        code = _run_steps(lab, _chosen(steps))
    except Skip as missing:
        print(f"SKIP: capability {missing}", flush=True)
        code = SKIP_EXIT_CODE
    finally:
        if lab is not None:
            lab.close()
    sys.stdout.flush()
    sys.exit(code)
