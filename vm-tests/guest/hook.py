# SPDX-License-Identifier: GPL-2.0-only
"""Attaches a program that lets everything pass to a network card, natively: XDP, XDP for frames in pieces, clsact, tcx."""
import ctypes
import os
import pathlib
import re
import socket
import struct
import subprocess

import probe

BPF_OBJ_PIN = 6
TC_ACT_UNSPEC, TC_ACT_OK = -1, 0
ATTACH_TCX_EGRESS = probe.ATTACH_TCX_INGRESS + 1
PIN = "/sys/fs/bpf/nfr_hook"


def kernel_log() -> list[str]:
    return subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout.splitlines()


class Refused(Exception):
    """The kernel did not take it; the text is what the call and the kernel's log say."""


class Hook:
    """Attached from its making until close()."""

    def __init__(self, kind: str, device: str):
        self.device, self.kind = device, kind
        self.held: list[int] = []
        pathlib.Path("/proc/sys/kernel/bpf_stats_enabled").write_text("1", encoding="ascii")
        before = len(kernel_log())
        try:
            getattr(self, "_" + kind.replace("-", "_"))()
        except probe.Missing as problem:
            self._close_held()
            said = "; ".join(re.sub(r"^\[ *[\d.]+\] ", "", line) for line in kernel_log()[before:])
            raise Refused(f"{problem}; the kernel says: {said or 'nothing'}") from problem

    def _load(self, kind: int, answer: int, flags: int = 0) -> int:
        self.held.append(probe.program(kind, answer=answer, flags=flags))
        return self.held[0]

    def _link(self, program: int, attach: int, flags: int, what: str) -> None:
        self.held.append(probe.link(program, socket.if_nametoindex(self.device), attach, flags, what))

    def _xdp(self, flags: int = 0) -> None:
        self._link(self._load(probe.PROG_XDP, probe.XDP_PASS, flags), probe.ATTACH_XDP, probe.XDP_FLAGS_DRV_MODE, "native XDP")

    def _xdp_frags(self) -> None:
        """Buffers that the card had before the attach leave no room for XDP, and 6.12 drops each frame that takes more than one
        of them: a TCP stream stands still until retransmissions have used them up. A ring of another size has new ones."""
        self._xdp(probe.PROG_XDP_HAS_FRAGS)
        size = int(re.findall(r"^RX:\s+(\d+)", subprocess.run(["ethtool", "-g", self.device], capture_output=True, text=True,
                                                              check=True).stdout, re.M)[-1])
        for wanted in (size // 2, size):
            probe.do("ethtool", "-G", self.device, "rx", str(wanted))

    def _clsact(self) -> None:
        program = self._load(probe.PROG_SCHED_CLS, TC_ACT_OK)
        path = ctypes.create_string_buffer(PIN.encode())
        probe.bpf(BPF_OBJ_PIN, struct.pack("<QI", ctypes.addressof(path), program), "pinning")
        try:
            probe.do("tc", "qdisc", "replace", "dev", self.device, "clsact")
            for way in ("ingress", "egress"):
                probe.do("tc", "filter", "add", "dev", self.device, way, "bpf", "da", "object-pinned", PIN)
        finally:
            os.unlink(PIN)

    def _tcx(self) -> None:
        program = self._load(probe.PROG_SCHED_CLS, TC_ACT_UNSPEC)
        for attach in (probe.ATTACH_TCX_INGRESS, ATTACH_TCX_EGRESS):
            self._link(program, attach, 0, "a tcx link")

    def ran(self) -> int:
        """Over how many packets."""
        said = pathlib.Path(f"/proc/self/fdinfo/{self.held[0]}").read_text(encoding="ascii")
        return int(re.search(r"run_cnt:\s*(\d+)", said)[1])

    def _close_held(self) -> None:
        while self.held:
            os.close(self.held.pop())

    def close(self) -> None:
        if self.kind == "clsact":
            probe.do("tc", "qdisc", "del", "dev", self.device, "clsact")
        self._close_held()
