# SPDX-License-Identifier: GPL-2.0-only
"""C++ text without what only looks like code: comments, literals and preprocessor lines become spaces.

Line numbers stay as they were. Used by the checks that match braces. Not a C++ parser.
"""
import re

TOKEN = re.compile(
    r"""//[^\n]*(?:\\\n[^\n]*)*            # line comment, continued by a backslash
      | /\*.*?\*/                          # block comment
      | \b(?:u8|[uUL])?R"(?P<tag>[^()\s\\"]{0,16})\(.*?\)(?P=tag)"   # raw string
      | "(?:\\.|[^"\\\n])*"                # string
      | (?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'   # character; not the digit separator of 60'000
    """,
    re.DOTALL | re.VERBOSE,
)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def bare(text, keep_directives=False):
    """`text` with comments and literals blanked; preprocessor lines too unless they are to be kept."""
    text = TOKEN.sub(blank, text)
    return text if keep_directives else DIRECTIVE.sub(blank, text)


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"(?P<own>[^"]+)"|<(?P<system>[^>]+)>)', re.MULTILINE)


def includes(text):
    """(line, header, quoted) of every #include; commented-out ones do not count."""
    visible = re.sub(r"/\*.*?\*/", blank, text, flags=re.DOTALL)
    for match in INCLUDE.finditer(visible):
        line = visible.count("\n", 0, match.start()) + 1
        yield line, match["own"] or match["system"], match["own"] is not None
