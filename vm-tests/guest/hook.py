# SPDX-License-Identifier: GPL-2.0-only
"""Attaches a program that lets everything pass, and holds it until SIGTERM: hook.py xdp|xdp-frags|clsact|tcx DEVICE

First line: "attached", or "refused: WHY; the kernel says: TEXT" and exit code 3. Last line: over how many packets it ran.
"""
import ctypes
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys

import probe

BPF_OBJ_PIN = 6
TC_ACT_UNSPEC, TC_ACT_OK = -1, 0
ATTACH_TCX_EGRESS = probe.ATTACH_TCX_INGRESS + 1
PIN = "/sys/fs/bpf/nfr_hook"
REFUSED_EXIT_CODE = 3


def kernel_log() -> list[str]:
    return subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout.splitlines()


def xdp(device: str, flags: int = 0) -> int:
    program = probe.program(probe.PROG_XDP, answer=probe.XDP_PASS, flags=flags)
    probe.link(program, socket.if_nametoindex(device), probe.ATTACH_XDP, probe.XDP_FLAGS_DRV_MODE, "native XDP")
    return program


def xdp_frags(device: str) -> int:
    return xdp(device, probe.PROG_XDP_HAS_FRAGS)


def clsact(device: str) -> int:
    program = probe.program(probe.PROG_SCHED_CLS, answer=TC_ACT_OK)
    path = ctypes.create_string_buffer(PIN.encode())
    probe.bpf(BPF_OBJ_PIN, struct.pack("<QI", ctypes.addressof(path), program), "pinning")
    try:
        probe.do("tc", "qdisc", "replace", "dev", device, "clsact")
        for way in ("ingress", "egress"):
            probe.do("tc", "filter", "add", "dev", device, way, "bpf", "da", "object-pinned", PIN)
    finally:
        os.unlink(PIN)
    return program


def tcx(device: str) -> int:
    program = probe.program(probe.PROG_SCHED_CLS, answer=TC_ACT_UNSPEC)
    for attach in (probe.ATTACH_TCX_INGRESS, ATTACH_TCX_EGRESS):
        probe.link(program, socket.if_nametoindex(device), attach, 0, "a tcx link")
    return program


HOOKS = {"xdp": xdp, "xdp-frags": xdp_frags, "clsact": clsact, "tcx": tcx}


def main() -> int:
    kind, device = sys.argv[1:]
    pathlib.Path("/proc/sys/kernel/bpf_stats_enabled").write_text("1", encoding="ascii")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    before = kernel_log()
    try:
        program = HOOKS[kind](device)
    except probe.Missing as problem:
        said = "; ".join(re.sub(r"^\[ *[\d.]+\] ", "", line) for line in kernel_log()[len(before):])
        print(f"refused: {problem}; the kernel says: {said or 'nothing'}", flush=True)
        return REFUSED_EXIT_CODE
    print("attached", flush=True)
    signal.sigwait({signal.SIGTERM})
    ran = re.search(r"run_cnt:\s*(\d+)", pathlib.Path(f"/proc/self/fdinfo/{program}").read_text(encoding="ascii"))
    print(f"ran over {ran[1] if ran else '?'} packets", flush=True)
    if kind == "clsact":
        probe.do("tc", "qdisc", "del", "dev", device, "clsact")
    return 0


if __name__ == "__main__":
    sys.exit(main())
