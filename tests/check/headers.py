# SPDX-License-Identifier: GPL-2.0-only
"""Each source file opens with its licence and with what it is for; a .hpp is included once.

A .cpp with a .hpp of the same name beside it is described there; every other file says it itself.
"""
from pathlib import Path

from tree import Finding, main_of

LICENCE = "SPDX-License-Identifier: GPL-2.0-only"
OPENERS = {".cpp": "//", ".hpp": "//", ".h": "/*", ".c": "/*"}


def head_of(tree, path):
    """The lines up to the first code, without a #! line; number of the first one."""
    lines = tree.lines(path)
    skip = 1 if lines and lines[0].startswith("#!") else 0
    return lines[skip:], skip + 1


def licence(path, lines, first):
    opener = OPENERS.get(Path(path).suffix, "#")
    expected = f"{opener} {LICENCE}" + (" */" if opener == "/*" else "")
    accepted = (expected, f"// {LICENCE}") if opener == "/*" else (expected,)
    if not lines or lines[0] not in accepted:
        yield Finding(path, first, f"the first line must be '{expected}'")


def describes(line, suffix):
    """Whether a line begins the purpose comment: a comment with words, or a docstring."""
    text = line.strip()
    openers = ("//", "/*") if suffix in OPENERS else ("#", '"""', "'''")
    return text.startswith(openers) and len(text.lstrip("/*#\"' ").split()) >= 3


def purpose(tree, path, lines, first):
    suffix = Path(path).suffix
    if suffix == ".cpp" and path.removesuffix(".cpp") + ".hpp" in tree.files:
        return
    if len(lines) < 2 or not describes(lines[1], suffix):
        yield Finding(path, first + 1, "the file does not say what it is for in the comment after its licence")


def include_guard(tree, path):
    text = tree.text(path)
    if path.endswith(".hpp") and "\n#pragma once\n" not in text:
        yield Finding(path, 1, "#pragma once is missing")
    if path.endswith(".h") and "\n#ifndef NFR_" not in text and "\n#pragma once\n" not in text:
        yield Finding(path, 1, "an include guard NFR_..._H is missing")


def check(tree):
    found = []
    for path in sorted({*tree.cxx(), *tree.python(), *tree.shell()}):
        lines, first = head_of(tree, path)
        found += [*licence(path, lines, first), *purpose(tree, path, lines, first), *include_guard(tree, path)]
    return found


if __name__ == "__main__":
    main_of(check)
