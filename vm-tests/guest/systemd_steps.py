# SPDX-License-Identifier: GPL-2.0-only
"""The life of an installation under systemd, step by step: install, start, kill, reload, stop, uninstall. Says what came of
each step as runner.py says it of cases, then switches the guest off.

The steps build on each other; one that fails does not keep the others from being tried.
"""
import os
import pathlib
import pwd
import re
import signal
import subprocess
import time
import traceback

import runner
import systemd_tools as tools
from systemd_tools import check, run, same, shown, until

RELAY, AGENT, TARGET = "netferry-relay", "netferry-agent", "redis-server"
PORT, TARGET_PORT, TUNNEL_PORT = 8888, 6379, 7707
BACK_S = 3
STEP_S = 150
CONFIG = pathlib.Path("/etc/netferry/relay.toml")
KEPT = ("/etc/netferry", "/var/lib/netferry")
UNITS = pathlib.Path("/usr/local/lib/systemd/system")
OURS = "netferry|nfrelayd|nfagent"
BAD_WORDS = re.compile(r" (error|critical) nf\w+: |Failed|failed|timed out|Unknown|Traceback")


def root() -> str:
    return re.search(r"nfr\.root=(\S+)", pathlib.Path("/proc/cmdline").read_text())[1]


def make(*words: str, **more) -> str:
    return run("make", "--no-print-directory", "-C", root(), *words, **more)


class Life:
    """One installation, and what was there before it."""

    def __init__(self):
        self.before: dict[str, str] = {}
        self.accounts = self.sysctl = ""

    def boot(self):
        """systemd comes up whole: nothing has failed."""
        state = tools.call("systemctl", "is-system-running", "--wait").stdout.strip()
        failed = run("systemctl", "list-units", "--failed", "--plain", "--no-legend")
        same("systemd's state", (state, failed), ("running", ""))
        same("process 1", pathlib.Path("/proc/1/comm").read_text().strip(), "systemd")
        run("systemctl", "start", TARGET)
        until(lambda: tools.pings(TARGET_PORT), 10, "the target answers")
        self.before, self.accounts, self.sysctl = tools.files(), self.known_accounts(), tools.RESERVED.read_text()
        return f"{len(self.before)} files are known"

    def known_accounts(self) -> str:
        return "\n".join(sorted(run("getent", "passwd").splitlines() + run("getent", "group").splitlines()))

    def install(self):
        """As the README says; the build tree is only read."""
        said = make("install")
        check("sudo systemctl enable --now netferry-relay" in said, f"the next step is not named:\n{said}")
        check("sudo usermod -aG netferry NAME" in said, f"the group is not named:\n{said}")
        changes = tools.difference(self.before, tools.files())
        touched = {path: change for path, change in changes.items() if path.startswith(root() + "/")}
        tools.unchanged("changes in the build tree", touched)
        for user in ("netferry", "netferry-agent"):
            check("nologin" in run("getent", "passwd", user), f"{user} can log in")
        return f"{len(changes)} files are new or changed"

    def units_verify(self):
        for name in (RELAY, AGENT):
            said = run("systemd-analyze", "verify", "--man=no", str(UNITS / f"{name}.service"))
            same(f"systemd-analyze verify {name}", said, "")
            same(f"{name} before it is enabled", tools.call("systemctl", "is-enabled", name).stdout.strip(), "disabled")

    def start_relay(self):
        CONFIG.write_text('public = ["127.0.0.1"]\n' + CONFIG.read_text())
        since = tools.Journal()
        run("systemctl", "enable", "--now", RELAY)
        # Type=notify: systemctl comes back when it is ready, so nothing is waited for here.
        same("the relay", shown(RELAY, "Type", "ActiveState", "SubState"), ["notify", "active", "running"])
        check(tools.listeners(TUNNEL_PORT), "the tunnel port is open when systemctl comes back")
        check("relay 127.0.0.1" in run("nfctl", "status"), "nfctl status")
        self.no_errors(since)

    def no_errors(self, since: tools.Journal):
        bad = [line for line in since.about(OURS).splitlines() if BAD_WORDS.search(line)]
        same("errors in the journal", "\n".join(bad), "")

    def start_agent(self):
        line = re.search(r"nf1\.\S+", run("nfctl", "agent", "add", "client1"))[0]
        with subprocess.Popen(["nfagent", "join", line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as join:
            said = ""
            while "connected to 127.0.0.1:7707 as client1" not in said:
                check(got := join.stdout.readline(), f"nfagent join ended:\n{said}")
                said += got
            join.send_signal(signal.SIGINT)
            same("nfagent join after Ctrl-C", join.wait(20), 0)
        run("systemctl", "enable", "--now", AGENT)
        until(lambda: re.search(r"client1 .*connected", run("nfctl", "agent", "list")), 10, "the agent's service is connected")

    def mapping(self):
        said = run("nfctl", "map", str(PORT), f"client1:{TARGET_PORT}")
        until(lambda: tools.pings(PORT), 5, f"the target answers through relay and agent:\n{said}")
        # The holder gathers changes for a moment.
        until(lambda: str(PORT) in tools.RESERVED.read_text(), 5, f"{PORT} is kept from outgoing connections")

    def promised(self, unit: str) -> int:
        text = (UNITS / f"{unit}.service").read_text()
        words = re.search(r"^CapabilityBoundingSet=(.*)$", text, re.M)[1].split()
        return sum(1 << tools.CAPABILITIES[word] for word in words)

    def rights(self):
        """What /proc says of the processes is what units and docs/architecture.md promise."""
        holder, relay, agent = tools.main_pid(RELAY), tools.relay_process(), tools.main_pid(AGENT)
        same("processes of the relay's unit", tools.processes(RELAY), sorted((holder, relay)))
        same("processes of the agent's unit", tools.processes(AGENT), [agent])
        for pid, user in ((holder, "root"), (relay, "netferry"), (agent, "netferry-agent")):
            entry = pwd.getpwnam(user)
            same(f"uids of {pid}, {user}", set(tools.field(pid, "Uid").split()), {str(entry.pw_uid)})
            same(f"gids of {pid}, {user}", set(tools.field(pid, "Gid").split()), {str(entry.pw_gid)})
            same(f"NoNewPrivs of {pid}, {user}", tools.field(pid, "NoNewPrivs"), "1")
            same(f"Seccomp of {pid}, {user}", tools.field(pid, "Seccomp"), "2")
        same("the holder's bounding set", int(tools.field(holder, "CapBnd"), 16), self.promised(RELAY))
        effective = int(tools.field(holder, "CapEff"), 16)
        check(effective and effective & ~self.promised(RELAY) == 0, f"the holder's rights: {effective:x}")
        for pid, who in ((relay, "the relay process"), (agent, "the agent")):
            for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                same(f"{name} of {who}", int(tools.field(pid, name), 16), 0)
        same("the agent's bounding set", int(tools.field(agent, "CapBnd"), 16), self.promised(AGENT))
        same("further groups of the relay process", tools.field(relay, "Groups"), "")
        return f"holder {effective:x}, relay and agent 0"

    def group(self):
        for name in ("ann", "bob"):
            run("useradd", "--create-home", name)
        run("usermod", "-aG", "netferry", "ann")
        as_user = {name: ("setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups") for name in ("ann", "bob")}
        try:
            check("relay 127.0.0.1" in run(*as_user["ann"], "nfctl", "status"), "a member of the group sees no status")
            for words in (("status",), ("maps",), ("unmap", str(PORT))):
                said = run(*as_user["bob"], "nfctl", *words, code=4)
                check("you are not in group netferry" in said, f"what others are told:\n{said}")
            for path in ("/var/lib/netferry/relay", "/var/lib/netferry/agent"):
                check("Permission denied" in run(*as_user["ann"], "ls", path, code=2), f"{path} is open to the group")
        finally:
            for name in ("ann", "bob"):
                run("userdel", "--remove", name)
        check(tools.pings(PORT), "the mapping is still there")

    def kill(self, unit: str, pid: int, refused: list) -> str:
        """Kills with a connection open; how long until the mapping works again."""
        visitor = tools.Visitor(PORT)
        check(visitor.ping(), "the mapping works before")
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        same("the connection that was open", visitor.end(), "RST")
        until(lambda: tools.pings(PORT, refused), 20, "the mapping works again")
        took = time.monotonic() - began
        visitor.close()
        check(took < BACK_S, f"back after {took:.2f} s, expected within {BACK_S} s")
        same(unit, shown(unit, "ActiveState", "SubState"), ["active", "running"])
        return f"back after {took:.2f} s"

    def kill_relay(self):
        holder, relay, sockets, refused = tools.main_pid(RELAY), tools.relay_process(), tools.listeners(PORT), []
        said = self.kill(RELAY, relay, refused)
        same("connections refused meanwhile", len(refused), 0)
        same("listening sockets of the port", tools.listeners(PORT), sockets)
        same("the holder", tools.main_pid(RELAY), holder)
        check(tools.relay_process() not in (0, relay), "there is another relay process")
        same("restarts by systemd", shown(RELAY, "NRestarts"), ["0"])
        return said

    def kill_holder(self):
        holder, relay = tools.main_pid(RELAY), tools.relay_process()
        said = self.kill(RELAY, holder, [])
        check(tools.main_pid(RELAY) not in (0, holder), "there is another holder")
        same("the old relay process", tools.field(relay, "Name"), "")
        same("restarts by systemd", shown(RELAY, "NRestarts"), ["1"])
        check(str(PORT) in run("nfctl", "maps"), "the mapping is still there")
        return said

    def kill_agent(self):
        agent = tools.main_pid(AGENT)
        said = self.kill(AGENT, agent, [])
        check(tools.main_pid(AGENT) not in (0, agent), "there is another agent")
        same("restarts by systemd", shown(AGENT, "NRestarts"), ["1"])
        return said

    def configure(self, old: str, new: str, said: str):
        """Changes relay.toml, reloads, and waits for what the relay says of it."""
        text, since = CONFIG.read_text(), tools.Journal()
        CONFIG.write_text(text.replace(old, new))
        run("systemctl", "reload", RELAY)
        until(lambda: said in since.about(OURS), 5, f"the relay says '{said}'")

    def reload(self):
        """New settings are taken, others wait for a restart, a wrong file changes nothing; flows and processes stay."""
        before = tools.main_pid(RELAY), tools.relay_process()
        visitor = tools.Visitor(PORT)
        check(visitor.ping(), "the mapping works before")
        good, other = 'public = ["127.0.0.1"]\n', 'public = ["localhost"]\nworkers = 2\n'
        for step in ((good, other, "relay.toml was read again; after a restart: workers"),
                     (other, "nonsense = 1\n", "not reloaded, the old configuration goes on: "),
                     ("nonsense = 1\n", good, "relay.toml was read again")):
            self.configure(*step)
            name = "127.0.0.1" if step[1] == good else "localhost"
            check(f"relay {name}" in run("nfctl", "status"), f"the relay's address is not {name} after {step[1]!r}")
            check(visitor.ping(), f"a flow lives through the reload with {step[1]!r}")
        visitor.close()
        same("holder and relay process", (tools.main_pid(RELAY), tools.relay_process()), before)

    def stopped(self, unit: str, program: str, since: tools.Journal, began: float) -> str:
        took = time.monotonic() - began
        same(unit, shown(unit, "ActiveState", "Result", "ExecMainCode", "ExecMainStatus"), ["inactive", "success", "1", "0"])
        limit = int(run("systemctl", "show", unit, "--property=TimeoutStopUSec", "--value").strip().removesuffix("s"))
        check(took < limit, f"{unit}: {took:.1f} s to stop, at most {limit} s")
        same(f"processes called {program}", tools.named(program), [])
        self.no_errors(since)
        return f"{unit} {took:.2f} s"

    def stop(self):
        """In order: the relay ends a flow by RST, closes its ports, and leaves nothing in /run."""
        visitor = tools.Visitor(PORT)
        check(visitor.ping(), "the mapping works before")
        since, began = tools.Journal(), time.monotonic()
        run("systemctl", "stop", RELAY)
        said = self.stopped(RELAY, "nfrelayd", since, began)
        same("the connection that was open", visitor.end(), "RST")
        check("stopping: agents are told" in since.about(OURS), "the relay's last words")
        for port in (PORT, TUNNEL_PORT):
            same(f"sockets that listen on {port}", tools.listeners(port), set())
        same("what is left in /run/netferry", pathlib.Path("/run/netferry").exists(), False)
        same("ports kept from outgoing connections", tools.RESERVED.read_text(), self.sysctl)
        since, began = tools.Journal(), time.monotonic()
        run("systemctl", "stop", AGENT)
        return f"{said}, {self.stopped(AGENT, 'nfagent', since, began)}"

    def start_again(self):
        """The agent first: it waits for the relay."""
        run("systemctl", "start", AGENT)
        run("systemctl", "start", RELAY)
        began = time.monotonic()
        until(lambda: tools.pings(PORT), 20, "the mapping works after a start")
        return f"mapping works {time.monotonic() - began:.2f} s after the start"

    def gone(self):
        """What no uninstall may leave: processes, units, ports, names."""
        for program in ("nfrelayd", "nfagent"):
            same(f"processes called {program}", tools.named(program), [])
        same("units", run("systemctl", "list-units", "--all", "--plain", "--no-legend", "netferry*"), "")
        same("unit files", run("systemctl", "list-unit-files", "--no-legend", "netferry*", code=1), "")
        same("things named after us", tools.named_after_us(), set())
        same("ports kept from outgoing connections", tools.RESERVED.read_text(), self.sysctl)
        for port in (PORT, TUNNEL_PORT):
            same(f"sockets that listen on {port}", tools.listeners(port), set())

    def uninstall(self):
        """With both services running and enabled: what it says it keeps, and nothing else."""
        since = tools.Journal()
        said = make("uninstall")
        for kept in (*KEPT, "the users netferry and netferry-agent"):
            check(kept in said, f"{kept} is kept, and not named:\n{said}")
        changes = tools.difference(self.before, tools.files())
        accounts = {f"/etc/{name}" for name in ("passwd", "group", "shadow", "gshadow")}
        beyond = {path: change for path, change in changes.items() if not path.startswith(KEPT) and path not in accounts}
        tools.unchanged("what it left beyond that", beyond)
        check(str(CONFIG) in changes and "/var/lib/netferry/relay/relay.db" in changes, "configuration and state stay")
        self.gone()
        self.no_errors(since)

    def purge(self):
        make("uninstall", env={"PURGE": "1"})
        tools.unchanged("what differs from before", tools.difference(self.before, tools.files()))
        same("accounts", self.known_accounts(), self.accounts)
        self.gone()

    def journal(self):
        """Of the whole run: nothing crashed, and systemd had nothing against the units."""
        text = run("journalctl", "--no-pager", "-o", "short-monotonic", "-b")
        wrong = re.compile(r"dumped core|segfault|netferry-\w+\.service:\d+:|Unknown (key|lvalue)")
        bad = [line for line in text.splitlines() if wrong.search(line)]
        same("complaints in the journal", "\n".join(bad), "")

    STEPS = (boot, install, units_verify, start_relay, start_agent, mapping, rights, group, kill_relay, kill_holder, kill_agent,
             reload, stop, start_again, uninstall, purge, journal)


def case_name(step) -> str:
    return f"systemd.{step.__name__}"


def names() -> list[str]:
    """As they are reported: what has to be answered for."""
    return [case_name(step) for step in Life.STEPS]


def _late(*_):
    raise tools.Wrong(f"not done after {STEP_S} s")


def one(port: runner.Port, life: Life, step) -> None:
    port.say(begin=case_name(step), of=1)
    began, since, note, output = time.monotonic(), tools.Journal(), "", ""
    signal.alarm(STEP_S)
    try:
        note = step(life) or ""
    except tools.Wrong as problem:
        output = str(problem)
    except Exception:  # pylint: disable=broad-exception-caught
        output = traceback.format_exc()
    signal.alarm(0)
    if output:
        output += "\nthe journal meanwhile:\n" + "\n".join(since.text().splitlines()[-40:])
    port.say(case=case_name(step), result="failed" if output else "passed", seconds=round(time.monotonic() - began, 3),
             capability="", note=note, output=runner.tail(output))


def main() -> None:
    port = runner.Port(runner.PORT)
    port.say(booted=time.clock_gettime(time.CLOCK_BOOTTIME), release=os.uname().release)
    signal.signal(signal.SIGALRM, _late)
    life = Life()
    for step in Life.STEPS:
        one(port, life, step)
    port.say(end=True, seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
    # This is a service too: it ends with the others.
    os.execvp("systemctl", ["systemctl", "--no-block", "poweroff"])


if __name__ == "__main__":
    main()
