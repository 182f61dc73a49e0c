# SPDX-License-Identifier: GPL-2.0-only
"""Kernels: kernels.txt, Debian's packages behind it, and the unpacked trees, checked by hash each time."""
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

from . import CACHE, HERE, Trouble, cache, guest_module
from .processes import die_with_parent

HOST = "host"
UNPACKED = "unpacked.json"
UNFINISHED = ".unfinished"
CHUNK_BYTES = 1 << 20


@dataclasses.dataclass
class Kernel:
    """One entry of kernels.txt."""
    name: str
    package: str
    has: list[str] = dataclasses.field(default_factory=list)
    lacks: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Tree:
    """An unpacked kernel package: its image, its modules, and the version that names them."""
    directory: pathlib.Path
    release: str

    @property
    def image(self) -> pathlib.Path:
        return self.directory / f"boot/vmlinuz-{self.release}"

    @property
    def modules(self) -> pathlib.Path:
        return self.directory / "lib/modules" / self.release


def _statement(kernels: dict[str, Kernel], line: str, where: str) -> None:
    verb, *words = line.split()
    if verb == "kernel" and len(words) == 2:
        if words[0] in kernels:
            raise Trouble(f"{where}: kernel {words[0]} is there twice")
        kernels[words[0]] = Kernel(*words)
        return
    if not kernels:
        raise Trouble(f"{where}: '{line}' comes before the first kernel")
    kernel = list(kernels.values())[-1]
    named = words if verb == "has" else words[:1]
    for name in named:
        if name in kernel.has or name in kernel.lacks or named.count(name) > 1:
            raise Trouble(f"{where}: {name} is there twice for kernel {kernel.name}")
    if verb == "has" and words:
        kernel.has += words
    elif verb == "lacks" and len(words) >= 2:
        kernel.lacks[words[0]] = " ".join(words[1:])
    else:
        raise Trouble(f"{where}: '{line}' is no statement: kernel NAME PACKAGE, has CAPABILITY..., "
                      "lacks CAPABILITY REASON")


def parse(text: str, name: str = "kernels.txt") -> dict[str, Kernel]:
    """Every kernel by name, in the file's order."""
    kernels: dict[str, Kernel] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        if line:
            _statement(kernels, line, f"{name}:{number}")
    return kernels


def check_probes(kernels: dict[str, Kernel], probes, name: str = "kernels.txt") -> None:
    """A misspelled name after `lacks` would be a skip that nobody agrees to: each needs a probe."""
    for kernel in kernels.values():
        for capability in (*kernel.has, *kernel.lacks):
            if capability not in probes:
                raise Trouble(f"{name}: kernel {kernel.name}: {capability} has no probe in vm-tests/guest/probe.py")


def declared() -> dict[str, Kernel]:
    kernels = parse((HERE / "kernels.txt").read_text(), "vm-tests/kernels.txt")
    check_probes(kernels, guest_module("probe").PROBES, "vm-tests/kernels.txt")
    return kernels


def _shown(package: str) -> dict[str, str]:
    """The newest version of a package as apt knows it; empty when apt knows none."""
    done = subprocess.run(["apt-cache", "--no-all-versions", "show", package], capture_output=True, text=True, check=False)
    return dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", done.stdout.split("\n\n")[0], re.M))


def _resolved(package: str) -> dict[str, str]:
    """The package that holds the image: a metapackage depends on it."""
    shown = _shown(package)
    image = re.search(r"\b(linux-image-\d[^ ,]*)", shown.get("Depends", ""))
    if image:
        shown = _shown(image[1])
    return shown


def sha256(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _tree_hash(directory: pathlib.Path) -> str:
    """Over names and contents of all files but our own note."""
    digest = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()):
        if path.name != UNPACKED:
            digest.update(f"{path.relative_to(directory)} {sha256(path)}\n".encode())
    return digest.hexdigest()


def _cached(directory: pathlib.Path) -> Tree | None:
    """What an earlier run unpacked, if not a byte of it has changed."""
    try:
        noted = json.loads((directory / UNPACKED).read_text())
    except (OSError, ValueError):
        return None
    if noted.get("tree") != _tree_hash(directory):
        return None
    return Tree(directory, noted["release"])


class Undelivered(Trouble):
    """A package that apt knows does not come."""


def _download(package: dict[str, str], directory: pathlib.Path) -> pathlib.Path:
    words = ["apt-get", "-o", "APT::Sandbox::User=root", "download", f"{package['Package']}={package['Version']}"]
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False, preexec_fn=die_with_parent)
    found = list(directory.glob("*.deb"))
    if done.returncode != 0 or len(found) != 1:
        raise Undelivered(f"{' '.join(words)}: {done.stderr.strip()[-300:]}")
    if sha256(found[0]) != package["SHA256"]:
        raise Undelivered(f"{found[0].name} is not what apt's index lists (SHA256 {package['SHA256']}): try again")
    return found[0]


def _unpack(package: dict[str, str], directory: pathlib.Path) -> Tree:
    """Beside its place, which is taken when all is there."""
    work = directory.with_name(directory.name + UNFINISHED)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        archive = _download(package, work)
        subprocess.run(["dpkg-deb", "-x", archive, work], check=True, preexec_fn=die_with_parent)
        archive.unlink()
        release = next(work.glob("boot/vmlinuz-*")).name.removeprefix("vmlinuz-")
        # Debian makes the lists of modules when the package is installed.
        subprocess.run(["depmod", "-b", work, release], check=True)
        (work / UNPACKED).write_text(json.dumps({"release": release, "tree": _tree_hash(work)}))
        shutil.rmtree(directory, ignore_errors=True)
        work.rename(directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Tree(directory, release)


def _check_series(kernel: Kernel, release: str) -> None:
    """The release has to be of the series that the kernel is named after: a metapackage is another on another Debian."""
    if not release.startswith(kernel.name + "."):
        raise Trouble(f"kernel {kernel.name}: {kernel.package} is Linux {release} on this release of Debian: name a package of "
                      f"{kernel.name} in vm-tests/kernels.txt")


def _last_good(kernel: Kernel) -> Tree | None:
    """What was unpacked last of what is whole, in the kernel's series."""
    places = [path for path in (CACHE / "kernels").glob(f"{kernel.name}_*") if (path / UNPACKED).exists()]
    places.sort(key=lambda path: (path / UNPACKED).stat().st_mtime, reverse=True)
    trees = (_cached(path) for path in places if path.suffix != UNFINISHED)
    return next((tree for tree in trees if tree is not None and tree.release.startswith(kernel.name + ".")), None)


def _after_update(kernel: Kernel) -> dict[str, str]:
    """For a machine whose apt has no list of packages yet, or an old one: asks once, if it may."""
    package = {}
    if os.geteuid() == 0:
        print(f"kernel {kernel.name}: apt knows no package {kernel.package}: apt-get update", flush=True)
        subprocess.run(["apt-get", "-q", "update"], stdout=subprocess.DEVNULL, check=False, preexec_fn=die_with_parent)
        package = _resolved(kernel.package)
    if not package:
        raise Trouble(f"kernel {kernel.name}: apt knows no package {kernel.package}: run apt-get update, or name another in "
                      "vm-tests/kernels.txt")
    return package


def _fetch(kernel: Kernel) -> Tree:
    package = _resolved(kernel.package)
    if not package:
        if tree := _last_good(kernel):
            return tree
        package = _after_update(kernel)
    _check_series(kernel, package["Package"].removeprefix("linux-image-"))
    directory = CACHE / "kernels" / f"{kernel.name}_{package['Version'].replace('~', '-')}"
    if tree := _cached(directory):
        return tree
    print(f"kernel {kernel.name}: {package['Package']} {package['Version']} is unpacked", flush=True)
    try:
        return _unpack(package, directory)
    except Undelivered as problem:
        if tree := _last_good(kernel):
            print(f"kernel {kernel.name}: {package['Version']} does not come, so it is {tree.release}: {problem}", flush=True)
            return tree
        raise Undelivered(f"kernel {kernel.name}: {problem}; if apt's lists are old, apt-get update helps") from problem


def fetch(kernel: Kernel) -> Tree:
    """The kernel's tree in the cache, downloaded if it is not there or is not what was unpacked."""
    with cache.locked(CACHE / "kernels" / f"{kernel.name}.lock"):
        # Runs that were killed have left them.
        for left in (CACHE / "kernels").glob(f"{kernel.name}_*{UNFINISHED}"):
            shutil.rmtree(left, ignore_errors=True)
        tree = _fetch(kernel)
    _check_series(kernel, tree.release)
    return tree
