# SPDX-License-Identifier: GPL-2.0-only
"""No function over 70 lines, no file over 500, no file under bpf/ over 400: C++, Python, shell, CMake."""
from functions import cxx_functions, python_functions, shell_functions
from tree import Finding, main_of

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
BPF_FILE_LINES_MAX = 400


def long_functions(tree, paths, functions):
    for path in paths:
        try:
            found = list(functions(tree.text(path)))
        except SyntaxError as error:
            yield Finding(path, error.lineno or 1, f"cannot be parsed: {error.msg}")
            continue
        for name, first, last in found:
            if last - first + 1 > FUNCTION_LINES_MAX:
                yield Finding(path, first, f"{name} has {last - first + 1} lines, at most {FUNCTION_LINES_MAX}; split it")


def long_files(tree, paths):
    for path in paths:
        limit = BPF_FILE_LINES_MAX if path.startswith("bpf/") else FILE_LINES_MAX
        lines = len(tree.lines(path))
        if lines > limit:
            yield Finding(path, limit + 1, f"the file has {lines} lines, at most {limit}; split it by its nouns")


def check(tree):
    cmake = [path for path in tree.code() if path.endswith(("CMakeLists.txt", ".cmake", "Makefile", ".mk"))]
    return [
        *long_functions(tree, tree.cxx(), cxx_functions),
        *long_functions(tree, tree.python(), python_functions),
        *long_functions(tree, tree.shell(), shell_functions),
        *long_files(tree, sorted({*tree.cxx(), *tree.python(), *tree.shell(), *cmake})),
    ]


if __name__ == "__main__":
    main_of(check)
