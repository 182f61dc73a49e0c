# SPDX-License-Identifier: GPL-2.0-only
"""One guest under QEMU: its command line, its console, and how long it may take.

Single guests run in virtual time (-icount, sleep=off): the guest's clock counts instructions and jumps over idle time, so
a case sees a machine of one speed, however slow the emulation is, and no time limit is missed for being emulated.
"""
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from . import ROOT, Trouble, acceleration, cache, images, initramfs
from .processes import die_with_parent

# Lines of a kernel's log that no run may have. lab_test.py has an example of each, in this order.
BAD_PARTS = (
    r"\bBUG:",
    r"\bkernel BUG at ",
    r"(?<!Spectre V2 : )\bWARNING:",
    r"\bOops:",
    r"\bKernel panic",
    # Of the kernel itself; for a program it says what its ip was.
    r"\bgeneral protection fault(?! ip:)",
    r"\binvalid opcode: 0000 \[#",
    r"\bsoft lockup",
    r"\bhung task",
    r"\bblocked for more than",
    r"\brcu: INFO: .*detected (expedited )?stall",
    r"\bCall Trace:",
    r"\bOut of memory:",
    r"\bMemory cgroup out of memory:",
    r"\bunregister_netdevice: waiting",
    r"\brefcount_t:",
    r"\bUBSAN:",
    r"\bKASAN:",
    r"\blist_(add|del) corruption",
    r"\bleaked ",
    r"\bUnknown symbol",
    r"\bEXT4-fs error",
    # Our programs and their threads; tests crash on purpose.
    r"\b(nfrelayd|nfagent|nfctl|nfr-\S*)\[\d+\]: segfault at",
)
BAD = re.compile("|".join(BAD_PARTS))
SHOWN_LINES = 40
# What costs instructions and tests nothing of ours.
LEAN = "init_on_alloc=0 hardened_usercopy=off audit=0 apparmor=0 nowatchdog"
VIRTUAL_CLOCK = ("-icount", "shift=0,sleep=off")

# A virtio card without a cable.
UNCONNECTED_CARD = ("-netdev", "hubport,id=none,hubid=0", "-device", "virtio-net-pci,netdev=none")


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
    lock: object = None

    @property
    def console(self) -> pathlib.Path:
        return self.directory / f"{self.name}.console"

    @property
    def answers(self) -> pathlib.Path:
        return self.directory / f"{self.name}.answers"

    @property
    def said(self) -> pathlib.Path:
        """What QEMU itself writes."""
        return self.directory / f"{self.name}.qemu"

    def _held_images(self) -> list[int]:
        """Descriptors, which QEMU inherits: it makes a file that is not there, and these cannot be removed under it."""
        paths = (self.system or images.system(), images.modules(self.kernel), *self.disks)
        return [cache.hold(path) for path in paths]

    def command(self, disks: list[int]) -> list[str]:
        """QEMU's command line."""
        sizes = [os.fstat(disk).st_size for disk in disks]
        slots = f"{self.memory_mib}M,slots={len(disks)},maxmem={self.memory_mib + sum(size >> 20 for size in sizes) + 4096}M"
        words = [*self.enter, "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                 "-M", "q35,nvdimm=on", "-accel", self.accelerator, *self.clock,
                 "-cpu", acceleration.processor(self.accelerator), "-smp", str(self.cpus), "-m", slots,
                 "-kernel", str(self.kernel.image), "-initrd", str(self._initramfs()), "-append", self._append()]
        for number, (disk, size) in enumerate(zip(disks, sizes)):
            words += ["-object", f"memory-backend-file,id=m{number},mem-path=/dev/fd/{disk},size={size},share=off",
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
        """Under the guest's name, which is its own until end()."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.lock = cache.try_lock(self.directory / f"{self.name}.lock")
        if self.lock is None:
            raise Trouble(f"guest {self.name} is running already, started by another vm-tests/run: wait for that, or give this "
                          "one a cache of its own with NFR_VM_CACHE=DIRECTORY")
        for old in (self.console, self.said):
            old.unlink(missing_ok=True)
        self.answers.write_text("")
        disks = self._held_images()
        words = self.command(disks)
        if self.interactive:
            self.process = subprocess.Popen(words, pass_fds=disks, preexec_fn=die_with_parent)
            return
        with open(self.said, "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=disks,
                                            start_new_session=True, preexec_fn=die_with_parent)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    def log(self) -> list[str]:
        if not self.console.exists():
            return []
        return self.console.read_text(errors="replace").replace("\r", "").splitlines()

    def qemu_log(self) -> list[str]:
        """The last lines that QEMU itself has written."""
        if not self.said.exists():
            return []
        return self.said.read_text(errors="replace").splitlines()[-SHOWN_LINES:]

    def bad_lines(self) -> list[str]:
        """What the kernel complained of, each with some lines that follow."""
        lines = self.log()
        hit = next((number for number, line in enumerate(lines) if BAD.search(line)), None)
        return [] if hit is None else lines[max(0, hit - 2):hit + SHOWN_LINES]
