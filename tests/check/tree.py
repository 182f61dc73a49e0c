# SPDX-License-Identifier: GPL-2.0-only
"""What every check shares: which files of the tree count, how a finding looks, how a check ends.

A check is a module with `check(tree) -> list of Finding` and `main_of(check)` at its end. Standard library only.
"""
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

SKIPPED = 77  # ctest's SKIP_RETURN_CODE
IGNORED_DIRECTORIES = {".git", ".cache", ".ccache", "__pycache__", "_CPack_Packages"}
CXX = {".cpp", ".hpp", ".h", ".c"}
DATA_DIRECTORY = "tests/fuzz/corpus/"


@dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


class Tree:
    """The files of one source tree, by path relative to its root, sorted."""

    def __init__(self, root):
        self.root = Path(root)
        self.files = sorted(self._walk())

    def _walk(self):
        for directory, names, files in os.walk(self.root):
            names[:] = [name for name in names if name not in IGNORED_DIRECTORIES and not name.startswith("build")]
            for name in files:
                if name == ".git":  # a linked worktree
                    continue
                yield (Path(directory) / name).relative_to(self.root).as_posix()

    def text(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def lines(self, path):
        return self.text(path).splitlines()

    def code(self):
        return [path for path in self.files if not path.startswith(DATA_DIRECTORY)]

    def cxx(self):
        return [path for path in self.code() if Path(path).suffix in CXX]

    def python(self):
        return [path for path in self.code() if path.endswith(".py") or self._interpreter(path) == "python"]

    def shell(self):
        return [path for path in self.code() if path.endswith(".sh") or self._interpreter(path) == "sh"]

    def _interpreter(self, path):
        """Of a script without an extension, from its first line."""
        if Path(path).suffix:
            return ""
        with open(self.root / path, "rb") as file:
            first = file.readline(120)
        if not first.startswith(b"#!"):
            return ""
        return "python" if b"python" in first else "sh" if b"sh" in first.split(b"/")[-1] else ""


def need_tool(name, why):
    """The path of a program; where it is missing the check is skipped, or fails if NFR_REQUIRE names it."""
    found = shutil.which(name)
    if found:
        return found
    required = name in os.environ.get("NFR_REQUIRE", "").split(",")
    print(f"{'FAIL' if required else 'SKIP'}: {name} is not installed; {why}")
    sys.exit(1 if required else SKIPPED)


def main_of(check):
    """Runs one check over the tree named on the command line (default: the one this file is in)."""
    root = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    findings = sorted(set(check(Tree(root))))
    for finding in findings:
        print(finding)
    print(f"{len(findings)} finding(s)")
    sys.exit(1 if findings else 0)
