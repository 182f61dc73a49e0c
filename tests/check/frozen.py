# SPDX-License-Identifier: GPL-2.0-only
"""Files that are never edited: a directory with a file SHA256SUMS holds what that file says, and nothing else."""
import hashlib
from pathlib import PurePath

from tree import Finding, main_of

SUMS = "SHA256SUMS"
# The directories that must be there, with the SHA-256 of their sums.
FROZEN = {"tests/harness/wire_v1": "367c7085e956a4a610399ccfbffe1fead2fda68ab9e425bc56d560f591673e13"}
WHY = "this directory is frozen: a new version gets a directory of its own"


def sha256_of(tree, path):
    """Empty where there is no such file."""
    return hashlib.sha256((tree.root / path).read_bytes()).hexdigest() if path in tree.files else ""


def frozen(tree, sums):
    directory = str(PurePath(sums).parent)
    stated = dict(reversed(line.split(maxsplit=1)) for line in tree.lines(sums) if len(line.split()) == 2)
    present = {path for path in tree.files if path.startswith(directory + "/") and path != sums}
    for name, digest in stated.items():
        path = f"{directory}/{name}"
        if path not in present:
            yield Finding(sums, 0, f"{name} is gone; {WHY}")
        elif sha256_of(tree, path) != digest:
            yield Finding(path, 0, f"changed; {WHY}")
    for path in sorted(present - {f"{directory}/{name}" for name in stated}):
        yield Finding(path, 0, f"is new; {WHY}")


def check(tree):
    """Findings of every frozen directory."""
    for directory, digest in FROZEN.items():
        path = f"{directory}/{SUMS}"
        if any(file.startswith(f"{directory}/") for file in tree.files) and sha256_of(tree, path) != digest:
            yield Finding(path, 0, f"is not the one in {PurePath(__file__).name}; {WHY}")
    for path in tree.files:
        if PurePath(path).name == SUMS:
            yield from frozen(tree, path)


if __name__ == "__main__":
    main_of(check)
