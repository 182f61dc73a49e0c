# SPDX-License-Identifier: GPL-2.0-only
"""The cache as a directory: who may read it, who owns it, and which run has what of it in its hands."""
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import stat

from . import CACHE, ROOT, Trouble

DEFAULT = ROOT / "build-vm"
# What is being filled under the lock of its kind; what is left of it without that lock is nobody's.
TREE = ".tree"
# What runs put into the cache, which may be a directory that has more.
OURS = ("kernels", "guests", "results")
OUR_SUFFIXES = (".img", ".lock", ".unfinished")
# Images of this run by path, locked until it ends.
_held: dict[pathlib.Path, object] = {}
_made: list[pathlib.Path] = []


def check_root(root: pathlib.Path = ROOT) -> None:
    """Guests get the checkout's path as a word of the kernel's command line."""
    if re.search(r"[\s\"]", str(root)):
        raise Trouble(f"the checkout is at '{root}': a blank or a quote ends nfr.root= on the kernel's command line; move it")


def prepare() -> None:
    """For nobody else to read: an image holds what this machine's /etc has."""
    check_root()
    # What is made for guests has the modes that Debian gives.
    os.umask(0o022)
    if not CACHE.exists():
        CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
        _made.append(CACHE)
    elif os.geteuid() not in (0, CACHE.stat().st_uid):
        raise Trouble(f"{CACHE} belongs to another user: sudo rm -r removes it, NFR_VM_CACHE=DIRECTORY names another")
    elif CACHE == DEFAULT:
        CACHE.chmod(0o700)


@contextlib.contextmanager
def locked(path: pathlib.Path):
    """One run at a time; the next waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def try_lock(path: pathlib.Path):
    """The open file that holds the lock until it is closed; None: another run has it."""
    lock = open(path, "a", encoding="utf-8")  # pylint: disable=consider-using-with
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    except BlockingIOError:
        lock.close()
        return None


def hold(image: pathlib.Path) -> int:
    """The image's descriptor: no other run removes it as long as this one, or a guest of it, has that open."""
    if image not in _held:
        file = open(image, "rb")  # pylint: disable=consider-using-with
        fcntl.flock(file, fcntl.LOCK_SH)
        _held[image] = file
    return _held[image].fileno()


def remove_unused(image: pathlib.Path) -> None:
    """Unless a run has it in its hands: then one that comes later removes it."""
    with open(image, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        image.unlink()


def _remove_leftovers() -> None:
    """Half-made trees of runs that were killed."""
    for tree in CACHE.glob("*" + TREE):
        if lock := try_lock(tree.with_suffix(".lock")):
            with lock:
                shutil.rmtree(tree, ignore_errors=True)


def _give(name: str, directory: int, owner: tuple[int, int]) -> None:
    # Another run may have removed it.
    with contextlib.suppress(FileNotFoundError):
        os.chown(name, *owner, dir_fd=directory, follow_symlinks=False)


def give_back(environment=os.environ) -> None:
    """What root made belongs to the user who called sudo. A tree that is being filled keeps its owners: an image has them."""
    if os.geteuid() != 0 or not CACHE.is_dir() or not {"SUDO_UID", "SUDO_GID"} <= set(environment):
        return
    owner = int(environment["SUDO_UID"]), int(environment["SUDO_GID"])
    _remove_leftovers()
    if CACHE == DEFAULT or CACHE in _made:
        _give(str(CACHE), None, owner)
    top = os.open(CACHE, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in os.listdir(top):
            if name in OURS and stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
                for _, directories, files, inside in os.fwalk(name, dir_fd=top, follow_symlinks=False):
                    for below in (*directories, *files):
                        _give(below, inside, owner)
            if name in OURS or name.endswith(OUR_SUFFIXES):
                _give(name, top, owner)
    finally:
        os.close(top)
