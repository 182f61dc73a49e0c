# SPDX-License-Identifier: GPL-2.0-only
"""A bare Debian root for install_test: made once by debootstrap, kept as an archive in the build tree's cache.

Everything happens in mount, pid and network namespaces that the test entered before, so nothing is left to unmount.
"""
import os
import pathlib
import re
import shutil
import subprocess
import zlib

import support

# Besides the bare system: make, and the libraries the programs are linked with.
PACKAGES = ("make", "libspdlog1.10", "libfmt9", "liburing2", "libssl3", "libc-ares2", "libsqlite3-0", "libcap2",
            "libtomlplusplus3", "libyaml-cpp0.7")
ARCHIVE = support.TREE / "cache" / f"debian-12-root-{zlib.crc32(repr(PACKAGES).encode()):08x}.tar"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNNEEDED = ("./var/cache/apt", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/locale", "./usr/share/man")


def mirror() -> str:
    """Where this machine's own apt gets Debian from."""
    for path in (*pathlib.Path("/etc/apt/sources.list.d").glob("*"), pathlib.Path("/etc/apt/sources.list")):
        if path.is_file():
            found = re.search(r"https?://\S+/debian/?(?=\s)", path.read_text(errors="replace"))
            if found:
                return found.group()
    return "http://deb.debian.org/debian"


def make_archive(work: pathlib.Path) -> str:
    """Empty when the archive is there; else what debootstrap said."""
    if ARCHIVE.exists():
        return ""
    root = work / "made"
    done = subprocess.run(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", str(root),
                           mirror()], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        return done.stdout[-600:]
    ARCHIVE.parent.mkdir(exist_ok=True)
    unfinished = ARCHIVE.with_suffix(f".{os.getpid()}")
    excluded = [f"--exclude={path}/*" for path in UNNEEDED]
    subprocess.run(["tar", "-C", str(root), *excluded, "-cf", str(unfinished), "."], check=True)
    unfinished.rename(ARCHIVE)
    shutil.rmtree(root)
    return ""


class CleanRoot:
    """The unpacked root, with the clone at /src and the build tree at /tree, both read-only."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        path.mkdir()
        subprocess.run(["tar", "-C", str(path), "-xf", str(ARCHIVE)], check=True)
        for source, name in ((support.ROOT, "src"), (support.TREE, "tree")):
            (path / name).mkdir()
            subprocess.run(["mount", "--bind", "-o", "ro", str(source), str(path / name)], check=True)
        for name in ("proc", "dev"):
            subprocess.run(["mount", "--rbind", f"/{name}", str(path / name)], check=True)

    def command(self, *words: str) -> list[str]:
        return ["chroot", str(self.path), *words]

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess:
        clean = {"PATH": PATH, "HOME": "/root", **env}
        return subprocess.run(self.command(*words), env=clean, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)

    def files(self) -> set[str]:
        """Every file and directory of the root itself, without what is mounted there or comes and goes."""
        found = set()
        for directory, names, files in os.walk(self.path):
            here = "/" + os.path.relpath(directory, self.path).removeprefix(".")
            if here == "/":
                names[:] = [name for name in names if name not in ("src", "tree", "proc", "dev", "sys", "tmp")]
            found.update(os.path.normpath(f"{here}/{name}") for name in (*names, *files))
        return found
