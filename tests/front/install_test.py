#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""make install in a bare Debian root: the programs start there, the units hold what they promise, the group may use
nfctl and others are told what to do, and uninstall leaves what it says and nothing else."""
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

import clean_root
import support

WORK = pathlib.Path(os.environ.get("NETFERRY_TEST_WORK", "/nonexistent"))
KEPT = {"/etc/netferry", "/etc/netferry/relay.toml", "/etc/netferry/agent.toml", "/var/lib/netferry",
        "/var/lib/netferry/relay", "/var/lib/netferry/agent"}
# useradd and userdel keep copies of the files they change.
ACCOUNTS = {"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-",
            "/etc/.pwd.lock"}


class Unit:
    """A unit file's settings, and the same rights for a process without systemd."""

    def __init__(self, path: pathlib.Path):
        self.text = path.read_text()

    def setting(self, name: str) -> str:
        found = re.search(rf"^{name}=(.*)$", self.text, re.M)
        if found is None:
            raise AssertionError(f"{name} is missing")
        return found.group(1)

    def rights(self) -> list[str]:
        listed = [word.removeprefix("CAP_").lower() for word in self.setting("CapabilityBoundingSet").split()]
        return ["setpriv", "--no-new-privs", "--bounding-set=" + ",".join(["-all", *(f"+{word}" for word in listed)])]


class Service:
    """A program in the clean root with a service manager's socket; its output goes to a file."""

    def __init__(self, root: clean_root.CleanRoot, words: list[str]):
        self.log = root.path / "tmp" / f"{support.new_mark()}.log"
        notify = root.path / "run/notify"
        notify.unlink(missing_ok=True)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(notify))
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(root.command(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={"PATH": clean_root.PATH, "NOTIFY_SOCKET": "/run/notify"})

    def wait_for(self, text: str) -> None:
        if not support.wait_until(lambda: text in self.log.read_text() or self.process.poll() is not None, 20) or \
                text not in self.log.read_text():
            raise AssertionError(f"never said '{text}':\n{self.log.read_text()}")

    def notified(self) -> str:
        self.manager.settimeout(5)
        return self.manager.recv(4096).decode()

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(20)
        self.manager.close()
        return code


class InstallTest(unittest.TestCase):
    """The steps build on each other, so they are one test, read from top to bottom in test_life."""

    @classmethod
    def setUpClass(cls):
        cls.root = clean_root.CleanRoot(WORK / "root")
        cls.before = cls.root.files()

    def ok(self, *words: str, **env: str) -> str:
        done = self.root.run(*words, **env)
        self.assertEqual(done.returncode, 0, f"{words}:\n{done.stdout}")
        return done.stdout

    def make(self, *words: str) -> str:
        return self.ok("make", "--no-print-directory", "-C", "/src", *words)

    def test_life(self):
        for step in (self.install, self.programs_start, self.units_are_valid, self.relay_runs_with_its_rights,
                     self.install_again_keeps_configuration, self.uninstall_keeps_state, self.purge):
            with self.subTest(step.__name__):
                step()

    def install(self):
        said = self.make("install", "BUILD=/tree")
        self.assertIn("systemd does not run here", said)
        self.assertIn("sudo usermod -aG netferry NAME", said)
        for user in ("netferry", "netferry-agent"):
            self.assertIn("nologin", self.ok("getent", "passwd", user))

    def programs_start(self):
        for program in ("/usr/local/sbin/nfrelayd", "/usr/local/bin/nfagent", "/usr/local/bin/nfctl"):
            self.assertNotIn("not found", self.ok("ldd", program))
            self.assertRegex(self.ok(program, "--version"), r"nf\w+ +\d+\.\d+\.\d+")

    def complaints(self, name: str) -> list[str]:
        """What systemd has against a unit; that the bare root has no systemd itself is not the unit's fault."""
        done = subprocess.run(["systemd-analyze", "verify", f"--root={self.root.path}", "--man=no", name],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return [line for line in done.stdout.splitlines() if "netferry" in line and "sysinit.target" not in line]

    def units_are_valid(self):
        for name in ("netferry-relay.service", "netferry-agent.service"):
            self.assertEqual(self.complaints(name), [])
        path = self.root.path / "etc/systemd/system/netferry-wrong.service"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.unit("netferry-relay.service").text.replace("NoNewPrivileges=yes", "NoNewPrivilege=yes"))
        self.assertRegex(" ".join(self.complaints(path.name)), "NoNewPrivilege", "a wrong unit must be noticed")
        path.unlink()

    def unit(self, name: str) -> Unit:
        return Unit(self.root.path / "usr/local/lib/systemd/system" / name)

    def start_relay(self) -> Service:
        unit = self.unit("netferry-relay.service")
        self.ok(*shlex.split(unit.setting("ExecStartPre").removeprefix("+")))
        self.ok("install", "-d", "-m", "755", "/run/netferry")  # RuntimeDirectory=
        service = Service(self.root, [*unit.rights(), unit.setting("ExecStart")])
        self.addCleanup(service.process.kill)
        service.wait_for("ready")
        self.assertEqual(service.notified(), "READY=1")
        return service

    def relay_runs_with_its_rights(self):
        config = self.root.path / "etc/netferry/relay.toml"
        config.write_text('public = ["127.0.0.1"]\n' + config.read_text())
        first = self.start_relay()
        self.only_the_group_may_use_it()
        line = re.search(r"nf1\.\S+", self.ok("nfctl", "agent", "add", "client1")).group()
        self.agent_runs_as_its_user(line)
        self.assertEqual(first.stop(), 0)
        # Once more over the state of the first run, which belongs to the relay's user.
        second = self.start_relay()
        self.assertIn("client1", self.ok("nfctl", "agent", "list"))
        self.assertEqual(second.stop(), 0)

    def as_user(self, name: str, *words: str) -> subprocess.CompletedProcess:
        return self.root.run("setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups", *words)

    def only_the_group_may_use_it(self):
        self.ok("useradd", "--create-home", "ann")
        self.ok("useradd", "--create-home", "bob")
        self.ok("usermod", "-aG", "netferry", "ann")
        member = self.as_user("ann", "nfctl", "status")
        self.assertEqual(member.returncode, 0, member.stdout)
        self.assertIn("relay 127.0.0.1", member.stdout)
        stranger = self.as_user("bob", "nfctl", "status")
        self.assertEqual(stranger.returncode, 4, stranger.stdout)
        self.assertIn("you are not in group netferry: sudo usermod -aG netferry $USER, or use sudo", stranger.stdout)
        for name in ("ann", "bob"):
            self.ok("userdel", "--remove", name)

    def agent_runs_as_its_user(self, line: str):
        join = Service(self.root, ["nfagent", "join", line])
        self.addCleanup(join.process.kill)
        join.wait_for("connected to")
        join.stop()
        unit = self.unit("netferry-agent.service")
        conditions = re.findall(r"^ConditionPathExists=\|(.*)$", unit.text, re.M)
        self.assertTrue(any((self.root.path / path.lstrip("/")).exists() for path in conditions), conditions)
        user = unit.setting("User")
        self.ok("chown", "-R", f"{user}:{user}", "/var/lib/" + unit.setting("StateDirectory"))  # as systemd does
        service = Service(self.root, [*unit.rights(), f"--reuid={user}", f"--regid={user}", "--clear-groups",
                                      *shlex.split(unit.setting("ExecStart"))])
        self.addCleanup(service.process.kill)
        service.wait_for("connected to 127.0.0.1:7707 as client1")
        self.assertEqual(service.stop(), 0)

    def install_again_keeps_configuration(self):
        self.make("install", "BUILD=/tree")
        self.assertIn('public = ["127.0.0.1"]', (self.root.path / "etc/netferry/relay.toml").read_text())

    def left(self) -> set[str]:
        return {path for path in self.root.files() - self.before - ACCOUNTS if not path.startswith("/run/")}

    def uninstall_keeps_state(self):
        said = self.make("uninstall")
        for kept in ("/etc/netferry", "/var/lib/netferry", "the users netferry and netferry-agent"):
            self.assertIn(kept, said)
        beyond = {path for path in self.left() - KEPT if not path.startswith("/var/lib/netferry/")}
        self.assertEqual(beyond, set())
        self.assertTrue(KEPT <= self.left(), KEPT - self.left())
        again = self.root.run("make", "-C", "/src", "uninstall")
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("nothing is installed at /usr/local", again.stdout)

    def purge(self):
        self.make("install", "BUILD=/tree")
        self.make("uninstall", "PURGE=1")
        self.assertEqual(self.left(), set())
        self.assertEqual(self.before - self.root.files(), set(), "it removed what was not its own")
        self.assertNotIn("netferry", (self.root.path / "etc/passwd").read_text())
        self.assertNotIn("netferry", (self.root.path / "etc/group").read_text())


def enter_namespaces() -> None:
    """Starts this program again where mounts, processes and network are its own."""
    with tempfile.TemporaryDirectory(prefix="front-install-") as directory:
        inside = f'mount -t tmpfs none {directory} && ip link set lo up && exec "$0" "$@"'
        done = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sh",
                               "-c", inside, sys.executable, os.path.realpath(__file__)],
                              env={**os.environ, "NETFERRY_TEST_WORK": directory}, check=False)
    sys.exit(done.returncode)


def main() -> None:
    lack = support.lacks_namespaces() or next(
        (name for name in ("debootstrap", "systemd-analyze") if shutil.which(name) is None), "")
    if lack:
        support.skip_without(lack)
    if not WORK.is_dir():
        # Before the network is gone: the archive may have to be made.
        with tempfile.TemporaryDirectory(prefix="front-root-") as directory:
            if trouble := clean_root.make_archive(pathlib.Path(directory)):
                support.skip_without("debian-mirror", f"(debootstrap: {trouble})")
        enter_namespaces()
    support.main()


if __name__ == "__main__":
    main()
