# SPDX-License-Identifier: GPL-2.0-only
"""Capabilities of the running kernel, each found out by using it: name -> None, or why it is not there.

Nothing here compares versions. Everything is made in a network namespace of the probe's own; run by root.
"""
import ctypes
import errno
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_BPF, SYS_IO_URING_SETUP, SYS_IO_URING_REGISTER, SYS_CLOSE_RANGE = 321, 425, 427, 436
CLONE_NEWNET = 0x40000000
BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_LINK_CREATE = 0, 5, 28
MAP_SOCKHASH = 18
PROG_SOCKET_FILTER, PROG_SCHED_CLS, PROG_XDP, PROG_CGROUP_SKB, PROG_SK_LOOKUP = 1, 3, 6, 8, 30
ATTACH_CGROUP_INGRESS, ATTACH_SK_LOOKUP, ATTACH_XDP, ATTACH_TCX_INGRESS = 0, 36, 37, 46
XDP_FLAGS_DRV_MODE = 1 << 2
XDP_PASS = 2
PROG_XDP_HAS_FRAGS = 1 << 5
TCP_CONGESTION, TCP_ULP = 13, 31
SO_BUF_LOCK, CLOSE_RANGE_CLOEXEC = 72, 4
SETUP_CQSIZE, SETUP_SUBMIT_ALL, SETUP_SINGLE_ISSUER, SETUP_DEFER_TASKRUN = 1 << 3, 1 << 7, 1 << 12, 1 << 13
REGISTER_PBUF_RING = 22


class Missing(Exception):
    """Why a capability is not there."""


def _errno() -> str:
    return errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))


def bpf(command: int, attributes: bytes, what: str) -> int:
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result = LIBC.syscall(SYS_BPF, command, buffer, 128)
    if result < 0:
        raise Missing(f"{what}: {_errno()}")
    return result


def program(kind: int, attach: int = 0, answer: int = 1, flags: int = 0) -> int:
    """The descriptor of a program that says `answer` to everything."""
    code = ctypes.create_string_buffer(struct.pack("<BBhi", 0xb7, 0, 0, answer) + struct.pack("<BBhi", 0x95, 0, 0, 0), 16)
    name = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack("<IIQQIIQII16sII", kind, 2, ctypes.addressof(code), ctypes.addressof(name), 0, 0, 0, 0, flags,
                             b"nfr_probe", 0, attach)
    return bpf(BPF_PROG_LOAD, attributes, f"loading a program of type {kind}")


def link(loaded: int, target: int, attach: int, flags: int, what: str) -> int:
    """The descriptor of a link: the program stays where it is attached until this is closed."""
    return bpf(BPF_LINK_CREATE, struct.pack("<IIII", loaded, target, attach, flags), what)


def do(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        text = (done.stderr or done.stdout).strip().splitlines()
        raise Missing(f"{' '.join(words)}: {text[0] if text else done.returncode}")


def btf():
    if not pathlib.Path("/sys/kernel/btf/vmlinux").exists():
        raise Missing("no /sys/kernel/btf/vmlinux")


def bpf_jit():
    path = pathlib.Path("/proc/sys/net/core/bpf_jit_enable")
    if not path.exists() or path.read_text().strip() == "0":
        raise Missing("net.core.bpf_jit_enable is off or missing")
    os.close(program(PROG_SOCKET_FILTER))


def clsact():
    do("tc", "qdisc", "add", "dev", "lo", "clsact")
    os.close(program(PROG_SCHED_CLS))


def tcx():
    link(program(PROG_SCHED_CLS, answer=-1), socket.if_nametoindex("lo"), ATTACH_TCX_INGRESS, 0, "a tcx link")


def sk_lookup():
    with open("/proc/self/ns/net", "rb") as namespace:
        link(program(PROG_SK_LOOKUP, ATTACH_SK_LOOKUP), namespace.fileno(), ATTACH_SK_LOOKUP, 0, "an sk_lookup link")


def sockmap():
    table = bpf(BPF_MAP_CREATE, struct.pack("<IIII", MAP_SOCKHASH, 4, 4, 8), "a sockhash")
    os.close(table)


def _xdp(device: str, flags: int = 0) -> None:
    held = link(program(PROG_XDP, answer=XDP_PASS, flags=flags), socket.if_nametoindex(device), ATTACH_XDP, XDP_FLAGS_DRV_MODE,
                f"native XDP on {device}")
    os.close(held)


def xdp_veth():
    veth()
    _xdp("nfp0")


def _virtio_card() -> str:
    """Outside of the probe's namespace: a card cannot be made."""
    cards = [name for name in os.listdir("/sys/class/net") if os.path.realpath(f"/sys/class/net/{name}").find("/virtio") > 0]
    if not cards:
        raise Missing("this machine has no virtio network card")
    return cards[0]


def xdp_virtio():
    _xdp(_virtio_card())


def xdp_virtio_frags():
    """Frames of several pages, for programs that say they take them in pieces."""
    name = _virtio_card()
    before = pathlib.Path(f"/sys/class/net/{name}/mtu").read_text().strip()
    do("ip", "link", "set", name, "mtu", "9000")
    try:
        _xdp(name, PROG_XDP_HAS_FRAGS)
    finally:
        do("ip", "link", "set", name, "mtu", before)


def cgroup_bpf():
    with open("/sys/fs/cgroup/cgroup.procs", "rb"):
        pass
    group = os.open("/sys/fs/cgroup", os.O_RDONLY | os.O_DIRECTORY)
    link(program(PROG_CGROUP_SKB, ATTACH_CGROUP_INGRESS), group, ATTACH_CGROUP_INGRESS, 0, "a cgroup link")


def _ring(flags: int) -> int:
    parameters = ctypes.create_string_buffer(struct.pack("<III", 0, 0, flags), 120)
    ring = LIBC.syscall(SYS_IO_URING_SETUP, 8, parameters)
    if ring < 0:
        raise Missing(f"io_uring_setup with flags {flags:#x}: {_errno()}")
    return ring


def io_uring():
    os.close(_ring(0))


def io_uring_defer_taskrun():
    os.close(_ring(SETUP_SUBMIT_ALL | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN))


def io_uring_buffer_ring():
    """A ring of provided buffers (5.19): the same release brought multishot accept."""
    ring = _ring(0)
    memory = ctypes.create_string_buffer(8192)
    start = (ctypes.addressof(memory) + 4095) & ~4095
    request = ctypes.create_string_buffer(struct.pack("<QIHH", start, 8, 0, 0), 40)
    result = LIBC.syscall(SYS_IO_URING_REGISTER, ring, REGISTER_PBUF_RING, request, 1)
    os.close(ring)
    if result < 0:
        raise Missing(f"IORING_REGISTER_PBUF_RING: {_errno()}")


def so_buf_lock():
    with socket.socket() as one:
        try:
            one.setsockopt(socket.SOL_SOCKET, SO_BUF_LOCK, 0)
        except OSError as error:
            raise Missing(f"SO_BUF_LOCK: {errno.errorcode[error.errno]}") from error


def close_range():
    if LIBC.syscall(SYS_CLOSE_RANGE, 1000, 0xffffffff, CLOSE_RANGE_CLOEXEC) != 0:
        raise Missing(f"close_range with CLOEXEC: {_errno()}")


def debian_mirror():
    """A test may install packages: there is a way out of this machine, and debootstrap."""
    routes = pathlib.Path("/proc/net/route").read_text().splitlines()[1:]
    if not any(line.split()[1] == "00000000" for line in routes) or shutil.which("debootstrap") is None:
        raise Missing("no default route, or no debootstrap")


def unshare_net():
    do("unshare", "--net", "--mount", "--pid", "--fork", "true")


def veth():
    do("ip", "link", "add", "nfp0", "type", "veth", "peer", "name", "nfp1")


def bridge():
    do("ip", "link", "add", "nfpb", "type", "bridge")


def wireguard():
    do("ip", "link", "add", "nfpw", "type", "wireguard")


def tun():
    do("ip", "tuntap", "add", "dev", "nfpt", "mode", "tun")


def esp():
    do("ip", "xfrm", "state", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "0x1000", "mode",
        "transport", "aead", "rfc4106(gcm(aes))", "0x" + "11" * 20, "128")


def fq():
    do("tc", "qdisc", "add", "dev", "lo", "root", "fq")


def netem():
    do("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")


def nf_conntrack():
    do("nft", "add table ip p; add chain ip p c { type filter hook input priority 0; }; add rule ip p c ct state new accept")


def nft_nat():
    do("nft", "add table ip n; add chain ip n c { type nat hook postrouting priority 100; }; add rule ip n c masquerade")


def ipv6():
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError as error:
        raise Missing(f"binding ::1: {errno.errorcode[error.errno]}") from error


def bbr():
    with socket.socket() as one:
        try:
            one.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, b"bbr")
        except OSError as error:
            raise Missing(f"TCP_CONGESTION bbr: {errno.errorcode[error.errno]}") from error


def ktls():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        try:
            one.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        except OSError as error:
            raise Missing(f"TCP_ULP tls: {errno.errorcode[error.errno]}") from error


PROBES = {probe.__name__.replace("_", "-"): probe for probe in (
    btf, bpf_jit, so_buf_lock, close_range, debian_mirror, clsact, tcx, sk_lookup, sockmap, xdp_veth, xdp_virtio,
    xdp_virtio_frags, cgroup_bpf, io_uring, io_uring_defer_taskrun, io_uring_buffer_ring, unshare_net, veth, bridge, wireguard,
    tun, esp, fq, netem, nf_conntrack, nft_nat, ipv6, bbr, ktls)}
# Not in a namespace of the probe's own: the kernel has these once.
OUTSIDE = {"xdp-virtio", "xdp-virtio-frags", "cgroup-bpf", "bpf-jit", "debian-mirror"}
# Touch what is the machine's own, so only in a guest.
OURS_ONLY = {"xdp-virtio", "xdp-virtio-frags", "cgroup-bpf"}


def one(name: str) -> str | None:
    """None: it is there. Each probe has a process and a network namespace of its own, so none sees what another left."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        text = ""
        try:
            if name not in OUTSIDE and LIBC.unshare(CLONE_NEWNET) != 0:
                raise Missing(f"a network namespace: {_errno()}")
            if name not in OUTSIDE:
                do("ip", "link", "set", "lo", "up")
            PROBES[name]()
        except Exception as problem:  # whatever it is, the capability was not seen to be there
            text = str(problem) or type(problem).__name__
        finally:
            os.write(writing, text.encode()[:500])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    status = os.waitpid(child, 0)[1]
    if status != 0 and not text:
        text = f"its probe ended with {os.waitstatus_to_exitcode(status)}"
    return text or None


def all_of(names, ours: bool):
    """Each name with None or the reason; a name that has no probe is a mistake in kernels.txt. What cannot be tried in a
    namespace is tried only where the machine is ours, in a guest."""
    for name in names:
        if name in OURS_ONLY and not ours:
            yield name, "not tried outside of a guest"
        else:
            yield name, one(name) if name in PROBES else "there is no probe of that name"


if __name__ == "__main__":
    for probed, missing in all_of(sys.argv[1:] or PROBES, ours=False):
        print(f"{probed:24} {missing or 'yes'}")
