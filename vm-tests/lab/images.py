# SPDX-License-Identifier: GPL-2.0-only
"""Disk images, ext4, made without mounting anything: the guest's system, the build, the kernel's modules.

A guest gets them as persistent memory mapped privately: it may write, and the file stays as it is, for the next guest too.
Nothing is ever read from a disk, so a guest whose clock counts instructions never waits for this machine.
"""
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from . import CACHE, HERE, ROOT, Trouble, listing, packages

# Persistent memory comes in such pieces.
ALIGN_BYTES = 128 << 20
# Made by packages when they are installed, so no package lists them.
GENERATED = ("/etc", "/usr/lib/locale", "/usr/lib/python3", "/usr/lib/python3.11", "/usr/share/python3", "/var/lib/pam", "/var/www")
NOT_OURS = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/fstab", "/etc/machine-id", "/etc/systemd/system",
            "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/ssl/private", "/etc/apt", "/etc/netns", "/etc/netferry")
HOST_KEYS = "/etc/ssh/ssh_host_"
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
DAEMONS = ("nfrelayd", "nfagent", "nfctl")
MOUNT_POINTS = ("proc", "sys", "dev", "run", "tmp", "root", "home", "mnt", "var/tmp", "var/log", "var/lib", "etc/systemd/system",
                "lib/modules", "opt", "srv")


def _hash(parts) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:16]


def _stamp(path: pathlib.Path) -> str:
    """What changes when a file of the build does: its size and time, for a tree that is built again and again."""
    told = path.stat()
    return f"{path} {told.st_size} {told.st_mtime_ns}"


def make(image: pathlib.Path, tree: pathlib.Path, label: str, room_bytes: int) -> None:
    """An ext4 image of a directory, with room for what the guest writes."""
    used = sum(path.lstat().st_size + 4096 for path in tree.rglob("*"))
    size = -(-(int(used * 1.06) + room_bytes) // ALIGN_BYTES) * ALIGN_BYTES
    unfinished = image.with_suffix(f".{os.getpid()}")
    words = ["/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-E", "lazy_itable_init=1", "-m", "0", "-b",
             "4096", "-L", label, "-d", tree, unfinished, f"{size // 1024}k"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Trouble(f"mke2fs of {image}: {done.stderr.strip()[-300:]}")
    unfinished.rename(image)


def _cached(kind: str, label: str, key: str, fill, room_bytes: int) -> pathlib.Path:
    """The image of that key; older ones of its kind go. Two runs at once: the second waits for the first."""
    image = CACHE / f"{kind}-{_hash([key, pathlib.Path(__file__).read_text()])}.img"
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / f"{kind}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if image.exists():
            return image
        for old in CACHE.glob(f"{kind}-*.img"):
            old.unlink()
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            tree = pathlib.Path(work) / "tree"
            tree.mkdir()
            fill(tree)
            make(image, tree, label, room_bytes)
    return image


def _copy(paths, tree: pathlib.Path) -> None:
    """Absolute paths of this machine to the same places below tree, links as links, directories without contents."""
    listed = "\0".join(path.lstrip("/") for path in paths).encode()
    reading = subprocess.Popen(["tar", "-C", "/", "--no-recursion", "--null", "-T", "-", "-cf", "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    writing = subprocess.Popen(["tar", "-C", tree, "-xpf", "-"], stdin=reading.stdout)
    reading.stdin.write(listed)
    reading.stdin.close()
    if reading.wait() | writing.wait():
        raise Trouble("tar could not copy the files of the guest")


def _generated():
    for top in GENERATED:
        for directory, names, files in os.walk(top):
            names[:] = [name for name in names if os.path.join(directory, name) not in NOT_OURS]
            yield directory
            for name in (*files, *(name for name in names if os.path.islink(os.path.join(directory, name)))):
                path = os.path.join(directory, name)
                if path not in NOT_OURS and not path.startswith(HOST_KEYS) and not path.startswith(packages.USELESS):
                    yield path


def libraries(programs) -> list[str]:
    """What the loader of this machine finds for the programs of the build."""
    shown = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    found = {word for line in shown.splitlines() for word in line.split() if word.startswith("/") and not word.endswith(":")}
    out = set()
    for path in found:
        out |= {os.path.realpath(path), os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))}
    return sorted(out)


def _drop_dangling(tree: pathlib.Path) -> None:
    """Links of /etc to what the guest has not got: another package of this machine put them there."""
    for path in (tree / "etc").rglob("*"):
        target = os.path.normpath(os.path.join("/", path.parent.relative_to(tree), os.readlink(path))) if path.is_symlink() else ""
        if target and not target.startswith(("/proc/", "/run/", "/dev/")) and not os.path.lexists(f"{tree}{target}"):
            path.unlink()


def _write_shadow(tree: pathlib.Path) -> None:
    """This machine's accounts without its secrets: nobody has a password."""
    for source, name, rest in (("passwd", "shadow", "*:20000:0:99999:7:::"), ("group", "gshadow", "*::")):
        accounts = [line.partition(":")[0] for line in (tree / "etc" / source).read_text().splitlines()]
        (tree / "etc" / name).write_text("".join(f"{account}:{rest}\n" for account in accounts))
        (tree / "etc" / name).chmod(0o640)


def _fill_system(tree: pathlib.Path, paths) -> None:
    for name, target in LINKS.items():
        (tree / target).mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(target)
    for name in MOUNT_POINTS:
        (tree / name).mkdir(parents=True, exist_ok=True)
    # What this user may not read is secret, and no test needs it; of such a directory there is an empty one.
    closed = {path for path in paths if not os.path.islink(path) and not os.access(path, os.R_OK)}
    _copy(sorted(set(paths) - closed), tree)
    for path in sorted(path for path in closed if os.path.isdir(path)):
        (tree / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    _drop_dangling(tree)
    _write_shadow(tree)
    (tree / "etc/hostname").write_text("guest\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost guest\n::1 localhost\n")
    (tree / "etc/fstab").write_text("")
    (tree / "etc/machine-id").write_text("")
    (tree / "etc/resolv.conf").write_text("")
    (tree / ROOT.relative_to("/")).mkdir(parents=True)
    shutil.copytree(HERE / "guest", tree / "guest")


def _system(kind: str, names, programs) -> pathlib.Path:
    """A guest's system: this machine's packages with what packages generate, and libraries of our programs."""
    chosen = packages.closure(list(names), packages.installed())
    own = [HERE / "guest" / name for name in sorted(os.listdir(HERE / "guest")) if not name.startswith("__")]
    needed = libraries(programs)
    key = _hash([*(f"{package.name} {package.version}" for package in chosen), *needed,
                 *(path.read_text() for path in own if path.is_file()),
                 (HERE / "lab/packages.py").read_text()])

    def fill(tree):
        _fill_system(tree, {path for path in (*packages.files(chosen), *_generated(), *needed) if os.path.lexists(path)})
    return _cached(kind, "nfr-system", key, fill, 256 << 20)


def system() -> pathlib.Path:
    """For the cases of the tests: whatever they use."""
    return _system("system", packages.wanted(), listing.programs())


def machine() -> pathlib.Path:
    """For one of several machines that talk to each other: servers, their clients, and our daemons."""
    return _system("machine", packages.MACHINE, daemons())


def daemons() -> list[pathlib.Path]:
    """Our programs, without the tests."""
    found = [ROOT / "build/bin" / name for name in DAEMONS]
    if missing := [path.name for path in found if not path.is_file()]:
        raise Trouble(f"build/bin has no {missing[0]}: make build first")
    return found


def programs() -> pathlib.Path:
    """The daemons alone, at the paths they have here; what a tree of tests has besides is not needed for them."""
    paths = daemons()

    def fill(tree):
        for path in paths:
            target = tree / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    return _cached("programs", "nfr-build", _hash(_stamp(path) for path in paths), fill, 64 << 20)


def build(cases: bool = True) -> pathlib.Path:
    """The checkout and the programs and tests of both build trees, at the paths they have here. Without cases: build/bin
    alone, which needs neither a debug build nor ctest."""
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True,
                             capture_output=True, text=True).stdout
    paths = [ROOT / name for name in tracked.split("\0") if name and (ROOT / name).exists()]
    paths += [pathlib.Path(path) for path in (listing.built_files() if cases else listing.programs_only())]
    key = _hash(_stamp(path) for path in paths)

    def fill(tree):
        for directory in listing.directories() if cases else ():
            (tree / pathlib.Path(directory).relative_to(ROOT)).mkdir(parents=True, exist_ok=True)
        for path in paths:
            target = tree / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    return _cached("build" if cases else "programs", "nfr-build", key, fill, 256 << 20)


def modules(kernel) -> pathlib.Path:
    """The modules of an unpacked kernel package."""
    key = _hash([kernel.release, kernel.directory])
    return _cached(f"modules-{kernel.release}", "nfr-modules", key,
                   lambda tree: shutil.copytree(kernel.modules, tree / kernel.release), 0)
