# SPDX-License-Identifier: GPL-2.0-only
"""Where functions begin and end, in C++, Python and shell. Used by sizes.py.

C++: a block is a function when it stands outside every other function and its head has an argument list; a block
of a namespace or type is looked into, a braced initialiser is looked into for lambdas. Not a C++ parser: what it
cannot name it calls by its first line.
"""
import ast
import re

from cxx_text import bare

SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")
TEMPLATE = re.compile(r"\btemplate\s*<")
# `Name() noexcept : member_` before a brace that initialises the member, or `, member_` after such a one.
MEMBER_INIT = re.compile(r"\)[^;{}]*?(?<!:):(?!:)[^;{}]*[\w>]\s*$", re.DOTALL)
NAME = re.compile(r"([~\w:]+|operator\s*\S+?)\s*\(")


def without_template(head):
    """`head` without template parameter lists, whose `class T` is no class."""
    while match := TEMPLATE.search(head):
        depth, at = 1, match.end()
        while at < len(head) and depth:
            depth += {"<": 1, ">": -1}.get(head[at], 0)
            at += 1
        head = head[: match.start()] + head[at:]
    return head


def matching_brace(text, opening):
    """Index of the brace that closes the one at `opening`; the end of the text where there is none."""
    depth = 0
    for match in re.finditer(r"[{}]", text[opening:]):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return opening + match.start()
    return len(text) - 1


def is_function(head):
    head = without_template(head)
    scope = SCOPE.search(head)
    if scope and "(" not in head[: scope.start()] and not re.search(r"\)\s*(const|noexcept|override|final|->|$)", head):
        return False
    return "(" in head or head.rstrip().endswith("]")


def cxx_functions(text):
    """(name, first line, last line) of every function that is not inside another one."""
    text = bare(text)
    start = at = 0
    while match := re.compile(r"[;{}]").search(text, at):
        at = match.end()
        if match.group() != "{":
            start = at
            continue
        head = text[start : match.start()]
        # A brace within parentheses is part of the head: a default argument, a lambda that initialises a member.
        if head.count("(") > head.count(")") or MEMBER_INIT.search(head):
            at = matching_brace(text, match.start()) + 1
            text = text[: match.start()] + re.sub(r"[^\n]", '"', text[match.start() : at]) + text[at:]
            continue
        if is_function(head):
            end = matching_brace(text, match.start())
            begin = start + len(head) - len(head.lstrip())
            named = NAME.search(without_template(head))
            yield (named[1] if named else head.strip()[:40]), text.count("\n", 0, begin) + 1, text.count("\n", 0, end) + 1
            at = end + 1
        start = at


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno] + [decorator.lineno for decorator in node.decorator_list])
            yield node.name, first, node.end_lineno


SHELL_HEAD = re.compile(r"^(?P<indent>\s*)(?:function\s+)?(?P<name>[\w:.-]+)\s*\(\)\s*(?P<open>[{(])(?P<rest>.*)$")
HERE_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")


def shell_functions(text):
    """A function ends at the first closing brace indented as its head; here-documents are text."""
    current, document = None, None
    for number, line in enumerate(text.splitlines(), 1):
        if document:
            document = None if line.strip() == document else document
            continue
        if (here := HERE_DOCUMENT.search(line)) and not line.lstrip().startswith("#"):
            document = here[2]
        head = SHELL_HEAD.match(line)
        if current is None and head:
            closing = "}" if head["open"] == "{" else ")"
            if head["rest"].rstrip().endswith(closing):
                yield head["name"], number, number
            else:
                current = (head["name"], number, head["indent"] + closing)
        elif current and line.startswith(current[2]):
            yield current[0], current[1], number
            current = None
