# SPDX-License-Identifier: GPL-2.0-only
"""Disk images, ext4, made without mounting anything: the guest's system, the build, the kernel's modules.

A guest gets them as persistent memory mapped privately: it may write, and the file stays as it is, for the next guest too.
Nothing is ever read from a disk, so a guest whose clock counts instructions never waits for this machine.
"""
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess

from . import CACHE, HERE, ROOT, Trouble, cache, listing, packages
from .processes import die_with_parent

# Persistent memory comes in such pieces.
ALIGN_BYTES = 128 << 20
# Made by packages when they are installed, so no package lists them.
GENERATED = ("/etc", "/usr/lib/locale", "/usr/lib/python3", "/usr/lib/python3.11", "/usr/share/python3", "/var/lib/pam",
             "/var/www")
NOT_OURS = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/fstab", "/etc/machine-id", "/etc/systemd/system",
            "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/ssl/private", "/etc/apt", "/etc/netns",
            "/etc/netferry")
HOST_KEYS = "/etc/ssh/ssh_host_"
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
DAEMONS = ("nfrelayd", "nfagent", "nfctl")
MOUNT_POINTS = ("proc", "sys", "dev", "run", "tmp", "root", "home", "mnt", "var/tmp", "var/log", "var/lib",
                "etc/systemd/system", "lib/modules", "opt", "srv")


def _hash(parts) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:16]


def _stamp(path: pathlib.Path) -> str:
    """What changes when a file of the build does: its size and time, for a tree that is built again and again."""
    told = path.stat()
    return f"{path} {told.st_size} {told.st_mtime_ns}"


def make(image: pathlib.Path, unfinished: pathlib.Path, tree: pathlib.Path, label: str, room_bytes: int) -> None:
    """An ext4 image of a directory, with room for what the guest writes."""
    used = sum(path.lstat().st_size + 4096 for path in tree.rglob("*"))
    size = -(-(int(used * 1.06) + room_bytes) // ALIGN_BYTES) * ALIGN_BYTES
    words = ["/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-E", "lazy_itable_init=1", "-m", "0",
             "-b", "4096", "-L", label, "-d", tree, unfinished, f"{size // 1024}k"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, umask=0o077, preexec_fn=die_with_parent)
    if done.returncode != 0:
        raise Trouble(f"mke2fs of {image}: {done.stderr.strip()[-300:]}")
    unfinished.rename(image)


def _cached(kind: str, label: str, key: str, fill, room_bytes: int) -> pathlib.Path:
    """The image of that key, held by this run; older ones of its kind go. Two runs at once: the second waits for the first."""
    image = CACHE / f"{kind}-{_hash([key, pathlib.Path(__file__).read_text()])}.img"
    work, unfinished = CACHE / f"{kind}{cache.TREE}", CACHE / f"{kind}.unfinished"
    with cache.locked(CACHE / f"{kind}.lock"):
        if not image.exists():
            # A run that was killed has left them.
            shutil.rmtree(work, ignore_errors=True)
            unfinished.unlink(missing_ok=True)
            for old in CACHE.glob(f"{kind}-{'[0-9a-f]' * 16}.img"):
                cache.remove_unused(old)
            work.mkdir(mode=0o700)
            try:
                tree = work / "root"
                tree.mkdir()
                fill(tree)
                make(image, unfinished, tree, label, room_bytes)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        cache.hold(image)
    return image


def _copy(paths, tree: pathlib.Path) -> None:
    """Absolute paths of this machine to the same places below tree, links as links, directories without contents."""
    listed = "\0".join(path.lstrip("/") for path in paths).encode()
    reading = subprocess.Popen(["tar", "-C", "/", "--no-recursion", "--null", "-T", "-", "-cf", "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, preexec_fn=die_with_parent)
    writing = subprocess.Popen(["tar", "-C", tree, "-xpf", "-"], stdin=reading.stdout, preexec_fn=die_with_parent)
    reading.stdout.close()
    reading.stdin.write(listed)
    reading.stdin.close()
    if reading.wait() | writing.wait():
        raise Trouble("tar could not copy the files of the guest")


@functools.cache
def _shut(directory: str) -> bool:
    """Whether others cannot look into a directory, for its own mode or for that of one above it."""
    return directory != "/" and (os.stat(directory).st_mode & 0o005 != 0o005 or _shut(os.path.dirname(directory)))


def _kept_from_others(path: str) -> bool:
    """What others may not read is secret, also where root makes the image."""
    if _shut(os.path.dirname(path)):
        return True
    if os.path.islink(path):
        return False
    return _shut(path) if os.path.isdir(path) else not os.stat(path).st_mode & 0o004 or not os.access(path, os.R_OK)


def _vouched(chosen) -> set[str]:
    """Of what is kept from others: configuration files that are still as their Debian package has them, which is public."""
    def same(path, md5):
        try:
            return hashlib.md5(pathlib.Path(path).read_bytes(), usedforsecurity=False).hexdigest() == md5
        except PermissionError:
            return False
    return {path for path, md5 in packages.conffiles(chosen).items() if _kept_from_others(path) and same(path, md5)}


def _copy_public(paths, vouched: set[str], tree: pathlib.Path) -> None:
    """What others may read and what is vouched for; a directory that is shut becomes one without the rest."""
    closed = {path for path in paths if _kept_from_others(path)} - vouched
    _copy(sorted(set(paths) - closed), tree)
    above = {str(parent) for path in vouched for parent in pathlib.Path(path).parents if _shut(str(parent))}
    for path in sorted(above | {path for path in closed if os.path.isdir(path) and not _shut(os.path.dirname(path))}):
        made, told = tree / path.lstrip("/"), os.stat(path)
        made.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(made, told.st_uid, told.st_gid)
        made.chmod(told.st_mode & 0o7777)


def _alternatives():
    """Links such as /usr/bin/awk, which belong to no package; those that lead nowhere in a guest do no harm."""
    for directory in ("/usr/bin", "/usr/sbin"):
        yield from (entry.path for entry in os.scandir(directory)
                    if entry.is_symlink() and os.readlink(entry.path).startswith("/etc/alternatives/"))


def _directories():
    """Of services, empty: packages make them when they are installed."""
    for parent in ("/var/log", "/var/lib", "/var/cache"):
        yield from (entry.path for entry in os.scandir(parent) if entry.is_dir(follow_symlinks=False))


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
        if not path.is_symlink():
            continue
        target = os.path.normpath(os.path.join("/", path.parent.relative_to(tree), os.readlink(path)))
        if not target.startswith(("/proc/", "/run/", "/dev/")) and not os.path.lexists(f"{tree}{target}"):
            path.unlink()


def _write_shadow(tree: pathlib.Path) -> None:
    """This machine's accounts without its secrets: nobody has a password."""
    for source, name, rest in (("passwd", "shadow", "*:20000:0:99999:7:::"), ("group", "gshadow", "*::")):
        accounts = [line.partition(":")[0] for line in (tree / "etc" / source).read_text().splitlines()]
        (tree / "etc" / name).write_text("".join(f"{account}:{rest}\n" for account in accounts))
        (tree / "etc" / name).chmod(0o640)


def _write_certificate(tree: pathlib.Path) -> None:
    """The self-made certificate of package ssl-cert, which PostgreSQL takes; this machine keeps its own."""
    key, certificate = tree / "etc/ssl/private/ssl-cert-snakeoil.key", tree / "etc/ssl/certs/ssl-cert-snakeoil.pem"
    for path in (key, certificate):
        path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=guest",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    groups = dict(line.split(":")[:3:2] for line in (tree / "etc/group").read_text().splitlines())
    for path, mode in ((key.parent, 0o710), (key, 0o640)):
        path.chmod(mode)
        if os.geteuid() == 0:
            os.chown(path, 0, int(groups.get("ssl-cert", 0)))


def _fill_system(tree: pathlib.Path, paths, vouched: set[str]) -> None:
    for name, target in LINKS.items():
        (tree / target).mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(target)
    for name in MOUNT_POINTS:
        (tree / name).mkdir(parents=True, exist_ok=True)
    _copy_public(paths, vouched, tree)
    _drop_dangling(tree)
    _write_shadow(tree)
    _write_certificate(tree)
    (tree / "etc/hostname").write_text("guest\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost guest\n::1 localhost\n")
    (tree / "etc/fstab").write_text("")
    (tree / "etc/machine-id").write_text("")
    (tree / "etc/resolv.conf").write_text("")
    (tree / ROOT.relative_to("/")).mkdir(parents=True, exist_ok=True)
    shutil.copytree(HERE / "guest", tree / "guest")


def _system(kind: str, names, programs) -> pathlib.Path:
    """A guest's system: this machine's packages with what packages generate, and libraries of our programs."""
    chosen = packages.closure(list(names), packages.installed())
    own = [HERE / "guest" / name for name in sorted(os.listdir(HERE / "guest")) if not name.startswith("__")]
    needed = libraries(programs)
    vouched = _vouched(chosen)
    key = _hash([*(f"{package.name} {package.version}" for package in chosen), *needed, *sorted(vouched),
                 *(path.read_text() for path in own if path.is_file()),
                 (HERE / "lab/packages.py").read_text()])

    def fill(tree):
        paths = {*packages.files(chosen), *_generated(), *_alternatives(), *_directories(), *needed}
        paths = {path for path in paths if os.path.lexists(path)}
        _fill_system(tree, paths, vouched)
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
    return _cached("daemons", "nfr-build", _hash(_stamp(path) for path in paths), fill, 64 << 20)


def _walked() -> list[pathlib.Path]:
    """The checkout without what is built and what git keeps."""
    found = []
    for directory, names, files in os.walk(ROOT):
        here = pathlib.Path(directory)
        names[:] = [name for name in names if name not in (".git", ".cache", "__pycache__") and here / name != CACHE
                    and not (here == ROOT and name.startswith("build"))]
        found += [here / name for name in files if name != ".git"]
    return found


def checkout() -> list[pathlib.Path]:
    """The files of the checkout that git knows or would take, whoever owns it; without git, all."""
    words = ["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        listed = ""
    found = [ROOT / name for name in listed.split("\0") if name] or _walked()
    return [path for path in found if path.exists()]


def build(cases: bool = True) -> pathlib.Path:
    """The checkout and the programs and tests of both build trees, at the paths they have here. Without cases: build/bin
    alone, which needs neither a debug build nor ctest."""
    paths = checkout()
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
