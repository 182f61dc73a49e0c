# SPDX-License-Identifier: GPL-2.0-only
"""Three guests that talk to each other, in real time: booted once, told what to do through their channels."""
import functools
import pathlib
import shutil
import time

from . import CACHE, acceleration, images, kernels, machine, wire
from .channel import Channel, Failed

CARD = "eth0"
BOOT_S = 180
MEMORY_MIB = 1024


@functools.cache
def _tree(name: str) -> kernels.Tree:
    return kernels.fetch(kernels.declared()[name])


class Machine:
    """One of the three: its guest, the channel to it, its address."""

    def __init__(self, number: int, kernel: kernels.Kernel, tree: kernels.Tree, joined, sockets: pathlib.Path):
        self.number, self.kernel = number, kernel
        self.address = f"198.18.0.{number}"
        self.guest = machine.Guest(f"three-{joined.name}-{number}", tree, CACHE / "guests", start="/guest/machine",
                                   disks=(images.programs(),), system=images.machine(), memory_mib=MEMORY_MIB, clock=(),
                                   accelerator=acceleration.real_time(tree), network=joined.card(number),
                                   enter=joined.enter(), channel=sockets / f"channel{number}")
        self.channel = Channel(self.guest)

    def __str__(self) -> str:
        return f"machine {self.number} ({self.kernel.name})"

    def run(self, *words, seconds: float = 20) -> str:
        """The output of a command that must succeed in that time."""
        return self._checked(self.try_run(*words, seconds=seconds), " ".join(map(str, words)), seconds)

    def _checked(self, answer: dict, what: str, seconds: float) -> str:
        if answer["late"] or answer["code"] != 0:
            why = f"not done after {seconds:.0f} s" if answer["late"] else f"exit code {answer['code']}"
            raise Failed(f"{self}: {what}: {why}: {answer['output'].strip()[-1500:]}")
        return answer["output"]

    def try_run(self, *words, seconds: float = 20) -> dict:
        return self.channel.ask(seconds, run=[str(word) for word in words], seconds=seconds)

    def wait(self, name: str, seconds: float = 20) -> str:
        """The output of a started process that must end well in that time."""
        return self._checked(self.channel.ask(seconds, wait=name, seconds=seconds), name, seconds)

    def start(self, name: str, *words) -> int:
        return self.channel.ask(start=name, words=[str(word) for word in words])["pid"]

    def log(self, name: str) -> str:
        """The end of what a started process has written."""
        return self.channel.ask(read=name)["output"]

    def count(self, name: str, text: str) -> int:
        """How often a started process has written the text."""
        return self.channel.ask(read=name, count=text)["count"]

    def stop(self, name: str) -> str:
        return self.channel.ask(10, stop=name)["output"]

    def wait_log(self, name: str, text: str, seconds: float = 20, count: int = 1) -> float:
        """Until a started process has written the text; how long that took."""
        began = time.monotonic()
        while True:
            answer = self.channel.ask(read=name, count=text)
            if answer["count"] >= count:
                return time.monotonic() - began
            if not answer["running"] or time.monotonic() - began > seconds:
                state = "goes on" if answer["running"] else "has ended"
                raise Failed(f"{self}: {name} {state} after {seconds:.0f} s without {text!r}:\n{answer['output']}")
            time.sleep(0.1)

    def xdp_drops(self) -> int:
        """Frames that the card's driver dropped for or because of XDP; kernels count by queue, newer ones in all besides."""
        text = self.run("ethtool", "-S", CARD)
        return max((int(line.rpartition(":")[2]) for line in text.splitlines() if "xdp_drops" in line), default=0)

    def features(self) -> dict[str, str]:
        """The card's offloads by ethtool: on or off."""
        return wire.features(self.run("ethtool", "-k", CARD))


class Trio:
    """A context: the machines are started inside of it; guests, sockets and namespace are gone after it, however it ends."""

    def __init__(self, kernel_names: tuple[str, ...], layout: str):
        self.layout, self.kernel_names = layout, kernel_names
        self.sockets = wire.make_directory()
        self.machines: list[Machine] = []
        self.wire = None
        self.began = time.monotonic()

    def __enter__(self):
        try:
            self._boot()
            return self
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def _boot(self) -> None:
        declared = kernels.declared()
        count = len(self.kernel_names)
        self.wire = wire.Taps(count) if self.layout == wire.Taps.name else wire.Sockets(count, self.sockets)
        for number, name in enumerate(self.kernel_names, 1):
            one = Machine(number, declared[name], _tree(name), self.wire, self.sockets)
            self.machines.append(one)
            one.guest.boot()
            one.channel.connect()

    def wait_up(self) -> float:
        """Until each has its address; how long that took since the start."""
        for one in self.machines:
            one.channel.wait_ready(BOOT_S)
            one.run("ip", "address", "add", f"{one.address}/24", "dev", CARD)
        self.set_mtu(1500)
        return time.monotonic() - self.began

    def set_mtu(self, mtu: int) -> None:
        """On every card and on what joins them."""
        self.wire.set_mtu(mtu)
        for one in self.machines:
            one.run("ip", "link", "set", CARD, "mtu", mtu, "up")

    def close(self) -> None:
        for one in self.machines:
            one.channel.close()
            one.guest.end()
        if self.wire is not None:
            self.wire.close()
        shutil.rmtree(self.sockets, ignore_errors=True)
