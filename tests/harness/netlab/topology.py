# SPDX-License-Identifier: GPL-2.0-only
"""Three network namespaces joined by two veth pairs, and sockets made inside them.

      visitor                      relay                       agent
    +-----------+            +----------------+            +-----------+
    |    v0 .2  |------------| r0 .1    r1 .1 |------------|  a0 .2    |
    +-----------+ 10.77.1/24 +----------------+ 10.77.2/24 +-----------+
                  fd77:1::/64                   fd77:2::/64

Nothing is routed through the relay: a byte crosses it only in the relay process. The names carry the pid, the
addresses live inside, so that any number of labs stand side by side. No interface is ever made in the namespace of
the machine.
"""
import contextlib
import ctypes
import os
import socket
import subprocess
import threading

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_count = 0

VISITOR4, RELAY4 = "10.77.1.2", "10.77.1.1"
VISITOR6, RELAY6 = "fd77:1::2", "fd77:1::1"
TUNNEL4, AGENT4 = "10.77.2.1", "10.77.2.2"
TUNNEL6, AGENT6 = "fd77:2::1", "fd77:2::2"

# What a machine that opens 100,000 connections a minute from one address needs; both ends of a real path have more
# addresses than a lab does. Servers of tests listen below 10000: no outgoing connection may sit on their port.
SYSCTLS = {"net.ipv4.ip_local_port_range": "10000 65000", "net.ipv4.tcp_tw_reuse": "1",
           "net.ipv6.conf.all.accept_dad": "0", "net.ipv6.conf.default.accept_dad": "0",
           "net.ipv4.ip_unprivileged_port_start": "1024"}


def run(*words, text=None):
    """Runs a command that must succeed; its output is part of the error if it does not."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def _setns(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    """One network namespace. A socket made inside stays there for life, whichever thread uses it."""

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._target = -1
        run("ip", "netns", "add", name)
        self._target = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self.ip("link", "set", "lo", "up")
        for key, value in SYSCTLS.items():
            self.run("sysctl", "-qw", f"{key}={value}")

    def enter_words(self):
        return ["nsenter", f"--net={self.path}"]

    def run(self, *words, text=None):
        return run(*self.enter_words(), *words, text=text)

    def ip(self, *words):
        return run("ip", "-n", self.name, *words)

    @contextlib.contextmanager
    def entered(self):
        """This thread, and no other, is inside for the time of the block."""
        back = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self._target)
            try:
                yield
            finally:
                _setns(back)
        finally:
            os.close(back)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        with self.entered():
            return socket.socket(family, kind)

    def connect(self, address, port, timeout=5.0, source=None):
        made = self.socket(family_of(address))
        try:
            made.settimeout(timeout)
            if source is not None:
                made.bind((source, 0))
            made.connect((address, port))
        except BaseException:
            made.close()
            raise
        return made

    def listen(self, address, port, backlog=512):
        made = self.socket(family_of(address))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family_of(address) == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(backlog)
        return made

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, timeout=60)
        for descriptor in (self._own, self._target):
            if descriptor >= 0:
                os.close(descriptor)
        self._own = self._target = -1


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _join(left, left_link, right, right_link):
    run("ip", "link", "add", left_link, "netns", left.name, "type", "veth", "peer", "name", right_link, "netns",
        right.name)


def _address(namespace, link, v4, v6):
    namespace.ip("addr", "add", f"{v4}/24", "dev", link)
    namespace.ip("addr", "add", f"{v6}/64", "dev", link, "nodad")
    namespace.ip("link", "set", link, "up")


class Topology:
    """The three namespaces; remove() takes everything away, whatever happened before."""

    def __init__(self):
        global _count
        _count += 1
        stem = f"nft{os.getpid()}-{_count}"
        self._made = []
        try:
            self.visitor, self.relay, self.agent = (self._make(f"{stem}{end}") for end in ("v", "r", "a"))
            _join(self.visitor, "v0", self.relay, "r0")
            _join(self.relay, "r1", self.agent, "a0")
            _address(self.visitor, "v0", VISITOR4, VISITOR6)
            _address(self.relay, "r0", RELAY4, RELAY6)
            _address(self.relay, "r1", TUNNEL4, TUNNEL6)
            _address(self.agent, "a0", AGENT4, AGENT6)
            self._warm_up()
        except BaseException:
            self.remove()
            raise

    def _make(self, name):
        made = Namespace(name)
        self._made.append(made)
        return made

    def _warm_up(self):
        """Finds the neighbours now, so that no test measures a lost first solicitation (1 s)."""
        for namespace, addresses in ((self.visitor, (RELAY4, RELAY6)), (self.agent, (TUNNEL4, TUNNEL6))):
            for address in addresses:
                with contextlib.suppress(ConnectionRefusedError):
                    namespace.connect(address, 9).close()

    def add_visitor_addresses(self, count):
        """More source addresses for the visitor; returns them. The relay answers them through r0."""
        addresses = [f"10.78.{index // 250}.{index % 250 + 1}" for index in range(count)]
        lines = "".join(f"addr add {address}/32 dev v0\n" for address in addresses)
        run("ip", "-n", self.visitor.name, "-batch", "-", text=lines)
        self.relay.ip("route", "add", "10.78.0.0/16", "via", VISITOR4)
        return addresses

    def remove(self):
        for namespace in self._made:
            namespace.remove()
        self._made = []
