# SPDX-License-Identifier: GPL-2.0-only
"""One guest under QEMU: its command line, its console, and how long it may take.

Single guests run in virtual time (-icount, sleep=off): the guest's clock counts instructions and jumps over idle time, so
a case sees a machine of one speed, however slow the emulation is, and no time limit is missed for being emulated.
"""
import ctypes
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from . import ROOT, acceleration, images, initramfs

# Lines of a kernel's log that no run may have.
BAD = re.compile(r"\b(BUG:|WARNING:|Oops:|Kernel panic|general protection fault|soft lockup|hung task|blocked for more than|"
                 r"rcu: INFO: .* detected stall|Call Trace:|Out of memory:|unregister_netdevice: waiting|refcount_t:|UBSAN:|KASAN:|"
                 r"list_add corruption|leaked |Unknown symbol)")
SHOWN_LINES = 40
# What costs instructions and tests nothing of ours.
LEAN = "init_on_alloc=0 hardened_usercopy=off audit=0 apparmor=0 nowatchdog"
VIRTUAL_CLOCK = ("-icount", "shift=0,sleep=off")

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)

# A virtio card without a cable.
UNCONNECTED_CARD = ("-netdev", "hubport,id=none,hubid=0", "-device", "virtio-net-pci,netdev=none")


def _die_with_parent() -> None:
    """A run that is killed hard takes its guests along."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclasses.dataclass
class Disk:
    image: pathlib.Path

    @property
    def size(self) -> int:
        return self.image.stat().st_size


@dataclasses.dataclass
class Guest:
    """What one boot needs, and where its console and its answers go.

    enter: words before QEMU's, nsenter's for a network namespace. channel: the path of a socket that QEMU makes, for what is
    said in both directions on the second serial port; without it, the guest's answers go to a file.
    """
    name: str
    kernel: object
    directory: pathlib.Path
    job: dict = dataclasses.field(default_factory=dict)
    start: str = "/guest/start"
    disks: tuple = ()
    memory_mib: int = 3072
    cpus: int = 1
    clock: tuple = VIRTUAL_CLOCK
    accelerator: str = "tcg,tb-size=512"
    network: tuple = ()
    append: str = ""
    interactive: bool = False
    system: pathlib.Path | None = None
    enter: tuple = ()
    channel: pathlib.Path | None = None
    process: subprocess.Popen | None = None

    @property
    def console(self) -> pathlib.Path:
        return self.directory / f"{self.name}.console"

    @property
    def answers(self) -> pathlib.Path:
        return self.directory / f"{self.name}.answers"

    def command(self) -> list[str]:
        """QEMU's command line."""
        disks = [Disk(path) for path in (self.system or images.system(), images.modules(self.kernel), *self.disks)]
        slots = f"{self.memory_mib}M,slots={len(disks)},maxmem={self.memory_mib + sum(d.size >> 20 for d in disks) + 4096}M"
        words = [*self.enter, "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                 "-M", "q35,nvdimm=on", "-accel", self.accelerator, *self.clock, "-cpu", acceleration.processor(self.accelerator), "-smp", str(self.cpus),
                 "-m", slots, "-kernel", str(self.kernel.image), "-initrd", str(self._initramfs()),
                 "-append", self._append()]
        for number, disk in enumerate(disks):
            words += ["-object", f"memory-backend-file,id=m{number},mem-path={disk.image},size={disk.size},share=off",
                      "-device", f"nvdimm,id=n{number},memdev=m{number}"]
        serial = "mon:stdio" if self.interactive else f"file:{self.console}"
        second = f"unix:{self.channel},server=on,wait=off" if self.channel else f"file:{self.answers}"
        return [*words, "-serial", serial, "-serial", second, *self.network]

    def _initramfs(self) -> pathlib.Path:
        return initramfs.make(self.kernel, self.directory / f"{self.name}.initramfs", json.dumps(self.job))

    def _append(self) -> str:
        return (f"console=ttyS0 panic=-1 mitigations=off tsc=reliable random.trust_cpu=on loglevel=6 {LEAN} nfr.root={ROOT} "
                f"nfr.start={self.start} {self.append}").strip()

    def boot(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.answers.write_text("")
        if self.interactive:
            self.process = subprocess.Popen(self.command())
            return
        with open(self.directory / f"{self.name}.qemu", "wb") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, preexec_fn=_die_with_parent)

    def wait(self, seconds: float) -> bool:
        """False: it was still running after that time of this machine, and has been ended."""
        try:
            self.process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            self.end()
            return False

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def log(self) -> list[str]:
        if not self.console.exists():
            return []
        return self.console.read_text(errors="replace").replace("\r", "").splitlines()

    def bad_lines(self) -> list[str]:
        """What the kernel complained of, each with some lines that follow."""
        lines = self.log()
        hit = next((number for number, line in enumerate(lines) if BAD.search(line)), None)
        return [] if hit is None else lines[max(0, hit - 2):hit + SHOWN_LINES]
