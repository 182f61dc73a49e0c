# SPDX-License-Identifier: GPL-2.0-only
"""Pages of docs/services as programs: every prompt line of a page is run, and what the page shows must be what came.

How a page is written is told in docs/services/README.md, for its readers. Used by tests/netns/service_pages.py with the
lab's machines, and by pages_test.py with a stand-in for them.
"""
import os
import re

PROMPT = re.compile(r"^([A-Za-z0-9_.-]+)([#$]) (\S.*)$")
FILE = re.compile(r"^(?:#|//) ([A-Za-z0-9_.-]+):(/\S+)$")
FENCE = re.compile(r"^\s*(```+|~~~+)\s*(\S*)")
DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "docs", "services")


class PageError(AssertionError):
    def __init__(self, page, line, text):
        super().__init__(f"{page}:{line}: {text}")


class Command:
    """One prompt line and the output that the page shows below it. `root` by its prompt."""

    def __init__(self, line, machine, root, text):
        self.line, self.machine, self.root, self.text = line, machine, root, text
        self.shown = []


class File:
    """A block whose first line names a machine and a path; that line is part of the file."""

    def __init__(self, line, machine, path, content):
        self.line, self.machine, self.path, self.content = line, machine, path, content


def blocks_of(text):
    """(line number of the first line, language, lines) of every fenced block."""
    fence, blocks = None, []
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if fence is not None and mark and mark[1].startswith(fence) and not mark[2]:
            fence = None
        elif fence is None and mark:
            fence = mark[1]
            blocks.append((number + 1, mark[2], []))
        elif fence is not None:
            blocks[-1][2].append(line)
    return blocks


def _commands_in(page, first, lines):
    found, goes_on = [], False
    for number, line in enumerate(lines, first):
        prompt = PROMPT.match(line)
        if goes_on:
            found[-1].text += "\n" + line
        elif prompt:
            found.append(Command(number, prompt[1], prompt[2] == "#", prompt[3]))
        elif not found:
            raise PageError(page, number, "output above the first prompt")
        else:
            found[-1].shown += [line] if line.strip() else []
        goes_on = (goes_on or bool(prompt)) and line.endswith("\\")
    return found


def read(page, text):
    """Commands and files in the order of the page. A block that is neither is an error: nothing stands there untested."""
    steps = []
    for first, language, lines in blocks_of(text):
        file = FILE.match(lines[0]) if lines else None
        if file:
            steps.append(File(first, file[1], file[2], "\n".join(lines) + "\n"))
        elif language == "console":
            steps += _commands_in(page, first, lines)
        else:
            raise PageError(page, first, "a block that is neither a transcript (console) nor a file")
    if not any(isinstance(step, Command) for step in steps):
        raise PageError(page, 1, "no command")
    return steps


def matches(shown, line):
    """`...` stands for anything; runs of white space are equal to each other."""
    parts = map(re.escape, " ".join(shown.split()).split("..."))
    return re.fullmatch(".*".join(parts), " ".join(line.split())) is not None


def missing_line(shown, output):
    """The first shown line that the output does not have below the ones before it, or None."""
    lines = iter(output.splitlines())
    for wanted in shown:
        if wanted.strip() != "..." and not any(matches(wanted, line) for line in lines):
            return wanted
    return None


def run(page, text, machines):
    """Runs a page; returns how many commands that were. A machine has execute(text, root) -> (code, output), write()."""
    steps = read(page, text)
    for step in steps:
        if step.machine not in machines:
            raise PageError(page, step.line, f"no machine {step.machine}; there are: {', '.join(sorted(machines))}")
        machine = machines[step.machine]
        if isinstance(step, File):
            machine.write(step.path, step.content)
            continue
        code, output = machine.execute(step.text, step.root)
        if code != 0:
            raise PageError(page, step.line, f"`{step.text}`: exit {code}:\n{output}")
        absent = missing_line(step.shown, output)
        if absent is not None:
            raise PageError(page, step.line, f"`{step.text}` does not print `{absent.strip()}`, but:\n{output}")
    return sum(isinstance(step, Command) for step in steps)


def names(directory=DIRECTORY):
    """The pages, without README.md, which is their index."""
    return sorted(name for name in os.listdir(directory) if name.endswith(".md") and name != "README.md")


def load(name, directory=DIRECTORY):
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        return file.read()


def write_files(name, machines):
    """The files that a page shows, without its commands."""
    for step in read(name, load(name)):
        if isinstance(step, File):
            machines[step.machine].write(step.path, step.content)
