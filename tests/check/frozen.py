# SPDX-License-Identifier: GPL-2.0-only
"""Files that are never edited: a directory with a file SHA256SUMS holds what that file says, and nothing else."""
import hashlib
from pathlib import PurePath

from tree import Finding, main_of

SUMS = "SHA256SUMS"
WHY = "this directory is frozen: a new version gets a directory of its own"


def frozen(tree, sums):
    directory = str(PurePath(sums).parent)
    stated = dict(reversed(line.split(maxsplit=1)) for line in tree.lines(sums))
    present = {path for path in tree.files if path.startswith(directory + "/") and path != sums}
    for name, digest in stated.items():
        path = f"{directory}/{name}"
        if path not in present:
            yield Finding(sums, 0, f"{name} is gone; {WHY}")
        elif hashlib.sha256((tree.root / path).read_bytes()).hexdigest() != digest:
            yield Finding(path, 0, f"changed; {WHY}")
    for path in sorted(present - {f"{directory}/{name}" for name in stated}):
        yield Finding(path, 0, f"is new; {WHY}")


def check(tree):
    """Findings of every frozen directory."""
    for path in tree.files:
        if PurePath(path).name == SUMS:
            yield from frozen(tree, path)


if __name__ == "__main__":
    main_of(check)
