# SPDX-License-Identifier: GPL-2.0-only
"""Every system call of relay and agent fails once, at its first, second, third ... use, by strace's injection.

A daemon may end with an error that says so (systemd starts it again) or go on; it may not crash, hang, lose a byte or
stay useless: afterwards a new visitor is served. In CI every fourth place of the table is tried, with NFR_SCALE=10 all.
"""
import re
import time

import harness  # noqa: F401
from netlab import streams, topology
from netlab.case import check, main, note, scale
from netlab.daemons import Agent, Relay
from netlab.process import wait_until
from netlab.sockets import EchoTarget, echoes

PORT, TARGET, STREAM_PORT, STREAM_TARGET = 8101, 7000, 8102, 7100
STRIDE = max(1, round(4 / scale())) if scale() <= 1 else 1
RECOVERY_SECONDS = 15
# A daemon that cannot go on ends by itself with one of these: 1 an error, 2 wrong use, 75 try again later, 78 it could
# not start; 127: the dynamic loader could not even load it.
CLEAN_EXITS = (1, 2, 75, 78, 127)
CRASHES = ("assertion", "terminate called", "signal 6", "signal 11", "AddressSanitizer", "runtime error")

# call: errno, places ("3": the third only, "3+": from the third on)
COMMON = {
    "socket": ("ENFILE", "1 2 3 4"), "bind": ("ENOBUFS", "1 2 3"), "listen": ("EADDRINUSE", "1 2 3"),
    "setsockopt": ("ENOBUFS", "1 2 3 5 8 13"), "getsockopt": ("ENOBUFS", "1 2 3 5"), "shutdown": ("ENOTCONN", "1 2"),
    "io_uring_setup": ("ENOMEM", "1 2 3"), "io_uring_register": ("ENOMEM", "1 2 3 4"),
    "io_uring_enter": ("EAGAIN", "1 2 5 9"), "eventfd2": ("EMFILE", "1 2 3"), "epoll_create1": ("EMFILE", "1 2"),
    "openat": ("EMFILE", "4 9 15 20 25 30 35"), "read": ("EIO", "3 8 12 15 18"), "fcntl": ("EMFILE", "1 2 3 5 9"),
    "mmap": ("ENOMEM", "20 30 40 45 50 55 60 40+ 50+ 60+ 70+"), "clone3": ("EAGAIN", "1 2"),
    "getsockname": ("ENOBUFS", "1 2 3"), "getpeername": ("ENOTCONN", "1 2 3"), "sendmsg": ("ENOBUFS", "1 2 4 8"),
    "recvmsg": ("ENOMEM", "1 2 4 8"), "fsync": ("EIO", "1 2"), "fdatasync": ("EIO", "1 2 3"), "rename": ("EIO", "1"),
    "getrandom": ("EINTR", "1 2 3"), "close": ("EINTR", "5 20 40"),
}
RELAY_ONLY = {"pwrite64": ("ENOSPC", "1 2 4"), "flock": ("ENOLCK", "1 2"), "prctl": ("EPERM", "1 2 3"),
              "setresuid": ("EAGAIN", "1"), "setgroups": ("EPERM", "1"), "socketpair": ("EMFILE", "1 2")}
EPOLL_ONLY = {"epoll_ctl": ("ENOMEM", "1 2 3 5 8"), "accept4": ("EMFILE", "1 2 3"), "recvfrom": ("ENOMEM", "1 2 4 7"),
              "sendto": ("ENOBUFS", "1 2 4 7"), "connect": ("ENOBUFS", "1 2 3"), "poll": ("ENOMEM", "1 2")}


class Injected:
    """Mixed into Relay and Agent: the next start is under strace."""
    injection = None

    def words(self, *verb):
        words = super().words(*verb)
        if self.injection is None:
            return words
        call, error, place, trace = self.injection
        return ["strace", "-D", "-f", "-qq", "-o", trace, "-e", f"trace={call}", "-e",
                f"inject={call}:error={error}:when={place}", *words]


class InjectedRelay(Injected, Relay):
    pass


class InjectedAgent(Injected, Agent):
    pass


def set_up(lab):
    lab.relay = InjectedRelay(lab.path("relay"), lab.net.relay, heartbeat_ms=500)
    lab.agent = InjectedAgent(lab.path("agent-home"), lab.net.agent)
    for daemon in (lab.relay, lab.agent):
        lab.logs.append(daemon.log_path)
        lab.defer(daemon.stop)
    lab.relay.start()
    lab.agent.join(lab.relay.join_line("home"))
    EchoTarget(lab, TARGET)
    lab.relay.ctl.text("map", PORT, f"home:{TARGET}")
    lab.relay.ctl.text("map", STREAM_PORT, f"home:{STREAM_TARGET}", "--leg", "tls")


def served(lab):
    return echoes(lab, topology.RELAY4, PORT, seconds=1)


def ended(daemon):
    """None while it runs, else its exit code, which must be an error it has told.

    The place is counted in each process anew: a relay process that meets it on its way up ends as often as the holder
    starts it, which counts as an end.
    """
    code = daemon.process.exit_code()
    log = daemon.process.log()
    if code is None:
        again = re.findall(r"relay process \d+ ended with exit code (\d+) after", log)
        return int(again[0]) if len(again) >= 2 else None
    check(code in CLEAN_EXITS, f"ended with {code}:\n{log[-3000:]}")
    check(re.search(r"error|cannot|critical", log), f"ended with {code} and no word of why:\n{log[-3000:]}")
    return code


def serves_or_ends(lab, daemon):
    """Until a visitor is served (True) or the daemon has ended with an error (False)."""
    outcome = []

    def known():
        if served(lab):
            outcome.append(True)
        elif ended(daemon) is not None:
            outcome.append(False)
        return outcome
    wait_until(known, RECOVERY_SECONDS, "a visitor is served, or the daemon ends with an error", step=0.05)
    return outcome[0]


def move_bytes(lab, name):
    """Some streams over the tls leg; every byte is checked, an error needs no other reason than the injection."""
    streams.run(lab, name, [f"{topology.RELAY4}:{STREAM_PORT}"], [f"127.0.0.1:{STREAM_TARGET}"], 40, streams=12,
                concurrency=6, size=200_000, resets=0, faults=True)


def one_case(lab, daemon, name, injection):
    daemon.stop()
    trace = lab.path(f"{name}.trace")
    daemon.injection = (*injection, trace)
    daemon.start(wait=False)
    served_under = serves_or_ends(lab, daemon)
    if served_under:
        move_bytes(lab, name)
    log = daemon.process.log()
    for crash in CRASHES:
        check(crash not in log, f"{name}: {crash!r} in its log:\n{log[-3000:]}")
    if not served_under or not daemon.process.alive():
        ended(daemon)
        daemon.stop()
        daemon.injection = None
        daemon.start(wait=False)
    check(serves_or_ends(lab, daemon), f"{name}: useless afterwards")
    with open(trace) as file:
        return "(INJECTED)" in file.read(), served_under


def sweep(lab, daemon, calls, suffix):
    cases = [(call, error, place) for call, (error, places) in calls.items() for place in places.split()]
    hit = survived = 0
    problems = []
    began = time.monotonic()
    stride = max(1, min(STRIDE, len(cases) // 4))
    chosen = cases[lab.random.randrange(stride)::stride]
    for call, error, place in chosen:
        name = f"{suffix}-{call}-{place}"
        try:
            injected, served_under = one_case(lab, daemon, name, (call, error, place))
        except AssertionError as problem:
            problems.append(f"{name} ({error}): {problem}")
            print(f"  {problems[-1]}", flush=True)
            continue
        hit += injected
        survived += injected and served_under
    note(f"{suffix}: {len(chosen)} of {len(cases)} places, {hit} reached, {survived} survived, {hit - survived} ended the "
         f"daemon with an error, {time.monotonic() - began:.0f} s")
    check(not problems, f"{len(problems)} places end badly")
    check(scale() < 1 or hit * 3 > len(chosen), "most places were never reached: the table does not fit the programs any more")
    daemon.injection = None
    daemon.stop()
    daemon.start(wait=False)
    check(serves_or_ends(lab, daemon), "useless after the sweep")


def relay_calls(lab):
    sweep(lab, lab.relay, COMMON | RELAY_ONLY, "relay")


def agent_calls(lab):
    sweep(lab, lab.agent, COMMON, "agent")


def set_io(daemon, choice):
    with open(daemon.config) as file:
        lines = [line for line in file if not line.startswith("io = ")]
    with open(daemon.config, "w") as file:
        file.writelines([f'io = "{choice}"\n', *lines])


def relay_calls_epoll(lab):
    set_io(lab.relay, "epoll")
    sweep(lab, lab.relay, EPOLL_ONLY, "relay-epoll")


def agent_calls_epoll(lab):
    set_io(lab.agent, "epoll")
    sweep(lab, lab.agent, EPOLL_ONLY, "agent-epoll")


main(set_up, relay_calls, agent_calls, relay_calls_epoll, agent_calls_epoll, needs=("strace",))
