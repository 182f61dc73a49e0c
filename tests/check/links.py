# SPDX-License-Identifier: GPL-2.0-only
"""Every relative link in the Markdown files leads to a file of the repository, and its #anchor to a heading there."""
import posixpath
import re
from urllib.parse import unquote

from tree import Finding, main_of

LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\s*\[[^\]]+\]:\s+(\S+)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def prose(text):
    """(number, line) outside fenced code, inline code blanked."""
    fence = None
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.match(r"^\s*(```+|~~~+)", line)
        if mark and (fence is None or mark[1].startswith(fence)):
            fence = mark[1] if fence is None else None
            continue
        if fence is None:
            yield number, re.sub(r"`[^`]*`", lambda code: " " * len(code[0]), line)


def anchors(text):
    """As GitHub names them: lower case, punctuation dropped, spaces to hyphens, repeats numbered."""
    names, fence = set(), False
    for line in text.splitlines():
        fence ^= bool(re.match(r"^\s*```", line))
        heading = HEADING.match(line)
        if fence or not heading:
            continue
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        repeat = 0
        while (candidate := f"{name}-{repeat}" if repeat else name) in names:
            repeat += 1
        names.add(candidate)
    return names


def broken(tree, path, link):
    """Why a link does not resolve, or nothing."""
    file, _, anchor = unquote(link).partition("#")
    if file.startswith("/"):
        return "is absolute; links are relative to their file"
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), file)) if file else path
    known = target in tree.files or any(other.startswith(target.rstrip("/") + "/") for other in tree.files)
    if not known and target != ".":
        return "leads to no file"
    if anchor and target.endswith(".md") and anchor not in anchors(tree.text(target)):
        return f"leads to no heading of {target}"
    return None


def check(tree):
    found = []
    for path in tree.code():
        if not path.endswith(".md"):
            continue
        for number, line in prose(tree.text(path)):
            for match in LINK.finditer(line):
                link = match[1] or match[2]
                why = None if ELSEWHERE.match(link) else broken(tree, path, link)
                if why:
                    found.append(Finding(path, number, f"the link {link} {why}"))
    return found


if __name__ == "__main__":
    main_of(check)
