# SPDX-License-Identifier: GPL-2.0-only
"""The repository stands alone: no file names a place outside it, and none is left half-done."""
import re

from tree import Finding, main_of

# Put together here, so that this file does not hold them.
OUTSIDE = {".." + "/shared": "a directory outside the repository", "/wo" + "rk/": "a path of one machine"}
HALF_DONE = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")

# What git leaves in a file where a merge was not decided.
UNDECIDED = re.compile("^(" + "<" * 7 + "|" + ">" * 7 + ") ")


def findings_in(path, text, half_done):
    for number, line in enumerate(text.splitlines(), 1):
        for word, meaning in OUTSIDE.items():
            if word in line:
                yield Finding(path, number, f"mentions {word}: {meaning}")
        if UNDECIDED.match(line):
            yield Finding(path, number, "a merge is not decided here")
        if half_done and (match := HALF_DONE.search(line)):
            yield Finding(path, number, f"{match[1]}: finish it, or open an issue")


def check(tree):
    code = set(tree.code())
    found = []
    for path in tree.files:
        found += findings_in(path, tree.text(path), half_done=path in code)
    return found


if __name__ == "__main__":
    main_of(check)
