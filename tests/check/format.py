# SPDX-License-Identifier: GPL-2.0-only
"""Every C and C++ file is as clang-format 14 (Debian 12) writes it. Put right with: clang-format -i FILE.

Another version formats differently, so it counts as missing. Skipped without it; see tree.need_tool.
"""
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tree import Finding, main_of, need_tool

VERSION = "14"
COMPLAINT = re.compile(r"^(.+?):(\d+):\d+: error: code should be clang-formatted", re.MULTILINE)


def formatter():
    for name in ("clang-format-" + VERSION, "clang-format"):
        tool = shutil.which(name)
        if tool and f"version {VERSION}." in subprocess.run([tool, "--version"], capture_output=True, text=True).stdout:
            return tool
    return need_tool("clang-format-" + VERSION, "apt-get install clang-format-" + VERSION)


def complaints(tool, tree, paths):
    run = subprocess.run([tool, "--dry-run", "-Werror", *paths], cwd=tree.root, capture_output=True, text=True)
    found = [Finding(match[1], int(match[2]), "not clang-formatted") for match in COMPLAINT.finditer(run.stderr)]
    if run.returncode != 0 and not found:
        found.append(Finding(paths[0], 1, f"clang-format failed: {run.stderr.strip()[:200]}"))
    return found


def check(tree):
    tool = formatter()
    paths = tree.cxx()
    slices = [paths[i : i + 16] for i in range(0, len(paths), 16)]
    with ThreadPoolExecutor(2) as pool:
        return [finding for found in pool.map(lambda part: complaints(tool, tree, part), slices) for finding in found]


if __name__ == "__main__":
    main_of(check)
