# SPDX-License-Identifier: GPL-2.0-only
"""The initramfs: busybox, our init, and the modules that find the images. Written here, as cpio's "newc"."""
import pathlib
import subprocess

from . import HERE, Trouble

BUSYBOX = pathlib.Path("/bin/busybox")
# Persistent memory, and the network cards that a kernel may have as modules.
WANTED = ("nfit", "nd_pmem", "virtio_pci", "virtio_net")
DIRECTORY, FILE, NODE = 0o040755, 0o100755, 0o020600


def _entry(name: str, mode: int, data: bytes, rdev: tuple[int, int], number: int) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def _module_files(kernel) -> list[pathlib.Path]:
    """WANTED with what they depend on, in the order of loading; what is built in is no file."""
    found: list[pathlib.Path] = []
    for name in WANTED:
        words = ["modprobe", "-d", kernel.directory, "-S", kernel.release, "--show-depends", name]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Trouble(f"kernel {kernel.release} has no module {name}: {done.stderr.strip()}")
        for line in done.stdout.splitlines():
            verb, _, path = line.partition(" ")
            if verb == "insmod" and pathlib.Path(path.strip()) not in found:
                found.append(pathlib.Path(path.strip()))
    return found


def _plain(path: pathlib.Path) -> bytes:
    """A module as the kernel's own loader takes it."""
    if path.suffix == ".xz":
        return subprocess.run(["xz", "-dc", path], check=True, capture_output=True).stdout
    return path.read_bytes()


def archive(files: dict[str, bytes]) -> bytes:
    """Executable files by name, in the directories that an init needs."""
    entries = [(name, DIRECTORY, b"", (0, 0)) for name in ("bin", "dev", "proc", "sys", "new", "modules", "nfr")]
    entries.append(("dev/console", NODE, b"", (5, 1)))
    entries += [(name, FILE, data, (0, 0)) for name, data in files.items()]
    entries.append(("TRAILER!!!", 0, b"", (0, 0)))
    return b"".join(_entry(*entry, number) for number, entry in enumerate(entries, 1))


def make(kernel, out: pathlib.Path, job: str) -> pathlib.Path:
    """The initramfs of an unpacked kernel, with a guest's job in it."""
    if not BUSYBOX.exists():
        raise Trouble("busybox-static is not installed: scripts/deps vm installs it")
    files = {"bin/busybox": BUSYBOX.read_bytes(), "init": (HERE / "guest/init").read_bytes(), "nfr/job.json": job.encode()}
    for number, path in enumerate(_module_files(kernel)):
        files[f"modules/{number:02d}-{path.name.removesuffix('.xz')}"] = _plain(path)
    out.write_bytes(archive(files))
    return out
