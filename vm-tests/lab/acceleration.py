# SPDX-License-Identifier: GPL-2.0-only
"""Which accelerator a guest in this machine's time gets: KVM where a probe guest really boots under it, else emulation."""
import functools
import os
import pathlib
import subprocess
import tempfile

from . import initramfs
from .processes import die_with_parent

EMULATED = "tcg,thread=multi,tb-size=256"
# A guest under KVM is off again in less than a second; one that is interpreted, or stopped at an instruction, is not.
PROBE_S = 5
SAID = "nfr: this guest boots"


@functools.cache
def _kvm_boots(image: pathlib.Path) -> bool:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    init = f"#!/bin/busybox sh\n/bin/busybox echo '{SAID}'\n/bin/busybox poweroff -f\n".encode()
    with tempfile.TemporaryDirectory() as place:
        ramdisk = pathlib.Path(place) / "initramfs"
        ramdisk.write_bytes(initramfs.archive({"bin/busybox": initramfs.BUSYBOX.read_bytes(), "init": init}))
        words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35",
                 "-accel", "kvm", "-cpu", "host", "-m", "512", "-kernel", image, "-initrd", ramdisk, "-append",
                 "console=ttyS0 panic=-1", "-serial", "stdio"]
        try:
            done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=PROBE_S, check=False,
                                  preexec_fn=die_with_parent)
        except subprocess.TimeoutExpired:
            return False
    return SAID.encode() in done.stdout


def real_time(kernel) -> str:
    """QEMU's -accel for an unpacked kernel."""
    return "kvm" if _kvm_boots(kernel.image) else EMULATED


def processor(accelerator: str) -> str:
    """QEMU's -cpu to go with it."""
    return "host" if accelerator == "kvm" else "Westmere"
