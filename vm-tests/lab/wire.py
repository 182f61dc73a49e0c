# SPDX-License-Identifier: GPL-2.0-only
"""What joins the machines: taps on a bridge in a network namespace, or sockets of QEMU.

The taps carry virtio's offload header, as the hosts of clouds do: frames cross unsegmented and with checksums left to be
filled in. QEMU's sockets carry no such header; the cards then offer no offload, and what goes wrong with it is hidden.
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import Trouble

# Namespaces and directories of runs, with the process that made them.
OWNED = re.compile(r"(?:nfvm|nfr-vm-)(\d+)(?:-|$)")
RUN_NETNS = pathlib.Path("/run/netns")
BRIDGE = "bridge"
# XDP wants a transmit queue of its own for each processor, and clouds give cards several.
QUEUES = 2


def _do(*words) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Trouble(f"{' '.join(map(str, words))}: {done.stderr.strip()[-300:]}")


def _card(netdev: str, number: int, *more: str) -> tuple[str, ...]:
    options = ",".join((f"virtio-net-pci,netdev={netdev},mac=52:54:00:4e:46:{number:02x}", *more))
    return ("-device", options)


def features(shown: str) -> dict[str, str]:
    """What `ethtool -k` prints: on or off by name."""
    pairs = (line.partition(":") for line in shown.splitlines()[1:])
    return {name.strip(): value.split()[0] for name, _, value in pairs if value.strip()}


class Taps:
    """A namespace of the run's own with a bridge and one tap a machine; the network of this machine is not touched."""
    name = "tap"
    offload = True

    def __init__(self, count: int):
        if os.geteuid() != 0:
            raise Trouble("three-machines makes a network namespace with taps, which needs root: run it with sudo, or without "
                          "offloads as `vm-tests/run three-machines --layout socket`")
        if not pathlib.Path("/dev/net/tun").exists():
            raise Trouble("there is no /dev/net/tun: modprobe tun, or `vm-tests/run three-machines --layout socket`")
        for program in ("ip", "nsenter", "ethtool"):
            if shutil.which(program) is None:
                raise Trouble(f"{program} is not installed: scripts/deps vm installs it")
        remove_stale()
        self.namespace = f"nfvm{os.getpid()}"
        self.taps = [f"tap{number}" for number in range(1, count + 1)]
        _do("ip", "netns", "add", self.namespace)
        try:
            self._in("link", "add", BRIDGE, "type", "bridge", "stp_state", 0, "mcast_snooping", 0)
            self._in("link", "set", BRIDGE, "addrgenmode", "none", "up")
            for tap in self.taps:
                self._in("tuntap", "add", "dev", tap, "mode", "tap", "vnet_hdr", "multi_queue")
                self._in("link", "set", tap, "addrgenmode", "none", "master", BRIDGE, "up")
        except BaseException:
            self.close()
            raise

    def _in(self, *words) -> None:
        _do("ip", "-n", self.namespace, *words)

    def enter(self) -> tuple[str, ...]:
        return ("nsenter", f"--net={RUN_NETNS / self.namespace}")

    def card(self, number: int) -> tuple[str, ...]:
        """QEMU's words for the only card of the machine of that number, from 1."""
        tap = f"tap,id=card,ifname={self.taps[number - 1]},script=no,downscript=no,vnet_hdr=on,queues={QUEUES}"
        return ("-netdev", tap, *_card("card", number, "mq=on", f"vectors={2 * QUEUES + 2}"))

    def set_mtu(self, mtu: int) -> None:
        for device in (*self.taps, BRIDGE):
            self._in("link", "set", device, "mtu", mtu)

    def features(self, number: int) -> dict[str, str]:
        """Of the tap by ethtool: what the guest's driver takes is what the tap may send it."""
        words = [*self.enter(), "ethtool", "-k", self.taps[number - 1]]
        return features(subprocess.run(words, capture_output=True, text=True, check=False).stdout)

    def close(self) -> None:
        subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True, check=False)


class Sockets:
    """The first machine's QEMU holds a hub; the others connect to it through sockets of a directory of the run's own."""
    name = "socket"
    offload = False

    def __init__(self, count: int, directory: pathlib.Path):
        remove_stale()
        self.count, self.directory = count, directory

    def enter(self) -> tuple[str, ...]:
        return ()

    def _socket(self, number: int) -> str:
        return f"addr.type=unix,addr.path={self.directory}/net{number}"

    def card(self, number: int) -> tuple[str, ...]:
        if number != 1:
            return ("-netdev", f"stream,id=card,server=off,{self._socket(number)}", *_card("card", number))
        words: list[str] = []
        for other in range(2, self.count + 1):
            words += ["-netdev", f"stream,id=to{other},server=on,{self._socket(other)}",
                      "-netdev", f"hubport,id=port{other},hubid=0,netdev=to{other}"]
        return (*words, "-netdev", "hubport,id=card,hubid=0", *_card("card", number))

    def set_mtu(self, mtu: int) -> None:
        """Nothing to do: the sockets carry frames of any size."""

    def features(self, _number: int) -> dict[str, str]:
        return {}

    def close(self) -> None:
        """Nothing to do: the sockets are the directory's."""


def make_directory() -> pathlib.Path:
    """For sockets, in a place whose path is short enough for them."""
    if "," in tempfile.gettempdir():
        raise Trouble(f"TMPDIR is '{tempfile.gettempdir()}': a comma ends the path of a socket in QEMU's options")
    return pathlib.Path(tempfile.mkdtemp(prefix=f"nfr-vm-{os.getpid()}-"))


def _left_behind(path: pathlib.Path) -> bool:
    match = OWNED.match(path.name)
    return bool(match) and not pathlib.Path(f"/proc/{match[1]}").exists()


def remove_stale() -> None:
    """Namespaces and directories of runs that were killed hard."""
    for path in filter(_left_behind, RUN_NETNS.glob("nfvm*") if shutil.which("ip") else ()):
        subprocess.run(["ip", "netns", "del", path.name], capture_output=True, check=False)
    for path in filter(_left_behind, pathlib.Path(tempfile.gettempdir()).glob("nfr-vm-*")):
        shutil.rmtree(path, ignore_errors=True)
