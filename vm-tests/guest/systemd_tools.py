# SPDX-License-Identifier: GPL-2.0-only
"""What the steps of systemd_steps.py look at: units, processes, sockets, the journal, and every file of the system."""
import hashlib
import json
import os
import pathlib
import re
import socket
import stat
import struct
import subprocess
import time

# Bits of /proc/PID/status, <linux/capability.h>.
CAPABILITIES = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8, "CAP_NET_BIND_SERVICE": 10,
                "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_PERFMON": 38, "CAP_BPF": 39}
RESERVED = pathlib.Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
LISTEN = "0A"
SHOWN_LINES = 30
# Not files, or what systemd, the journal, logins and the target keep about themselves while they run.
LEFT_OUT = ("/proc", "/sys", "/dev", "/run/systemd", "/run/log", "/run/nfr", "/run/lock", "/run/redis", "/run/utmp",
            "/var/log/journal", "/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/faillog", "/var/log/redis",
            "/var/lib/redis", "/var/lib/systemd")
# useradd, userdel and systemd-sysusers keep copies of the files they change.
COPIES = {"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock"}


class Wrong(Exception):
    """What a step found, in words."""


def check(good, text: str) -> None:
    if not good:
        raise Wrong(text)


def same(what: str, got, wanted) -> None:
    check(got == wanted, f"{what}: {got!r}, expected {wanted!r}")


def call(*words: str, timeout_s: float = 60, **more) -> subprocess.CompletedProcess:
    environment = {**os.environ, **more.pop("env", {})}
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=timeout_s, env=environment, check=False, **more)


def run(*words: str, code: int = 0, **more) -> str:
    done = call(*words, **more)
    check(done.returncode == code, f"{' '.join(words)} ended with {done.returncode}, expected {code}:\n{done.stdout}")
    return done.stdout


def until(condition, seconds: float, what: str):
    """What the condition gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (got := condition()):
        check(time.monotonic() < deadline, f"not within {seconds:g} s: {what}")
        time.sleep(0.01)
    return got


def shown(unit: str, *names: str) -> list[str]:
    """Properties of a unit, in the order asked for."""
    lines = run("systemctl", "show", unit, *(f"--property={name}" for name in names)).splitlines()
    values = dict(line.partition("=")[::2] for line in lines)
    return [values.get(name, "") for name in names]


def main_pid(unit: str) -> int:
    return int(shown(unit, "MainPID")[0])


def processes(unit: str) -> list[int]:
    path = pathlib.Path("/sys/fs/cgroup/system.slice") / f"{unit}.service/cgroup.procs"
    return sorted(int(line) for line in path.read_text().split()) if path.exists() else []


def relay_process() -> int:
    """The child of the holder."""
    holder = main_pid("netferry-relay")
    others = [pid for pid in processes("netferry-relay") if pid != holder and field(pid, "PPid") == str(holder)]
    return others[0] if others else 0


def field(pid: int, name: str) -> str:
    """A line of /proc/PID/status; empty when the process is gone."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")), "")


def named(name: str) -> list[int]:
    """Processes by their name, zombies too."""
    return [int(path.name) for path in pathlib.Path("/proc").iterdir() if path.name.isdigit() and
            field(int(path.name), "Name") == name]


def listeners(port: int) -> set[str]:
    """Inodes of the sockets that listen on a port."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path("/proc/net", table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTEN and int(words[1].rpartition(":")[2], 16) == port:
                found.add(words[9])
    return found


class Visitor:
    """A connection to the target through relay and agent."""

    def __init__(self, port: int, wait_s: float = 3):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=wait_s)

    def ping(self) -> bool:
        self.socket.sendall(b"PING\r\n")
        return self.socket.recv(64) == b"+PONG\r\n"

    def end(self, wait_s: float = 5) -> str:
        """How the connection ends: RST or FIN."""
        self.socket.settimeout(wait_s)
        try:
            return "FIN" if self.socket.recv(64) == b"" else "bytes"
        except ConnectionResetError:
            return "RST"
        except TimeoutError:
            return "no end"

    def close(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        self.socket.close()


def pings(port: int, refused: list | None = None) -> bool:
    """One visitor's question and answer; where a refused connection counts it is noted."""
    try:
        visitor = Visitor(port)
    except ConnectionRefusedError:
        if refused is not None:
            refused.append(time.monotonic())
        return False
    except OSError:
        return False
    try:
        return visitor.ping()
    except OSError:
        return False
    finally:
        visitor.close()


class Journal:
    """What is written to the journal from now on."""

    def __init__(self):
        run("journalctl", "--sync")
        lines = run("journalctl", "-n", "1", "-o", "json", "--output-fields=MESSAGE").splitlines()
        self.cursor = json.loads(lines[-1])["__CURSOR"]

    def text(self) -> str:
        run("journalctl", "--sync")
        return run("journalctl", "--no-pager", "-o", "short-monotonic", f"--after-cursor={self.cursor}")

    def about(self, words: str) -> str:
        """Lines with one of the words. Not by unit: the journal does not always know the unit of a process that is gone."""
        return "\n".join(line for line in self.text().splitlines() if re.search(words, line))


def _state_of(path: str) -> str:
    told = os.lstat(path)
    mark = f"{stat.filemode(told.st_mode)} {told.st_uid}:{told.st_gid}"
    if stat.S_ISLNK(told.st_mode):
        return f"{mark} -> {os.readlink(path)}"
    if not stat.S_ISREG(told.st_mode):
        return mark
    if path.startswith("/etc/"):
        # Accounts may come back in another order, and are written anew.
        content = b"\n".join(sorted(pathlib.Path(path).read_bytes().splitlines()))
        return f"{mark} {hashlib.sha256(content).hexdigest()}"
    return f"{mark} {told.st_size} bytes {told.st_mtime_ns}"


def files() -> dict[str, str]:
    """Every file of the guest with what would change if it was touched."""
    found = {}
    for directory, names, plain in os.walk("/"):
        names[:] = [name for name in names if os.path.join(directory, name) not in LEFT_OUT]
        for name in (*names, *plain):
            path = os.path.join(directory, name)
            if path not in LEFT_OUT and path not in COPIES:
                try:
                    found[path] = _state_of(path)
                except FileNotFoundError:
                    continue
    return found


def named_after_us() -> set[str]:
    """Where systemd and the kernel keep things by a unit's name."""
    places = ("/run/systemd", "/sys/fs/cgroup", "/sys/fs/bpf", "/var/lib/systemd")
    return {os.path.join(directory, name) for place in places for directory, names, plain in os.walk(place)
            for name in (*names, *plain) if "netferry" in name or "nfrelayd" in name}


def difference(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    """Path -> what became of it."""
    out = {path: f"new: {after[path]}" for path in after.keys() - before.keys()}
    out |= {path: f"gone: {before[path]}" for path in before.keys() - after.keys()}
    both = before.keys() & after.keys()
    out |= {path: f"was {before[path]}, is {after[path]}" for path in both if before[path] != after[path]}
    return dict(sorted(out.items()))


def unchanged(what: str, changes: dict[str, str]) -> None:
    lines = [f"{path}: {change}" for path, change in changes.items()]
    check(not lines, "\n  ".join([f"{what}: {len(lines)} files", *lines[:SHOWN_LINES]]))
