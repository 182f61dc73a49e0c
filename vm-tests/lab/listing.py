# SPDX-License-Identifier: GPL-2.0-only
"""The list of cases: what ctest of the two build trees would run on this machine, as commands."""
import dataclasses
import functools
import json
import os
import pathlib
import subprocess

from . import ROOT, Trouble

# The tree and the label of its tests that `make test` runs.
TREES = {"build-asan": "check", "build": "root"}
# Where a tree has what the loader starts.
PROGRAMS = ("bin/*", "tests/unit_*", "tests/fuzz/replay_*")
# Labels of what is not repeated in a guest: it reads the source and runs nothing of ours, or it measures this machine.
NOT_REPEATED = {"source", "host"}


@dataclasses.dataclass
class Case:
    """One test of ctest."""
    name: str
    command: list[str]
    environment: dict[str, str]
    timeout_s: float
    skip_code: int | None
    labels: list[str]
    directory: str


def _value(test: dict, name: str, default):
    return next((entry["value"] for entry in test.get("properties", []) if entry["name"] == name), default)


# What ctest is told of a test and a guest knows how to honour, or need not.
KNOWN = {"ENVIRONMENT", "TIMEOUT", "SKIP_RETURN_CODE", "SKIP_REGULAR_EXPRESSION", "LABELS", "WORKING_DIRECTORY", "RUN_SERIAL",
         "COST", "PROCESSORS"}


def _case(test: dict) -> Case:
    strange = {entry["name"] for entry in test.get("properties", [])} - KNOWN
    if strange:
        raise Trouble(f"case {test['name']} has the property {sorted(strange)[0]}, which guest/runner.py does not know")
    environment = dict(part.partition("=")[::2] for part in _value(test, "ENVIRONMENT", []) if part)
    return Case(test["name"], test["command"], environment, float(_value(test, "TIMEOUT", 300)),
                _value(test, "SKIP_RETURN_CODE", None), _value(test, "LABELS", []), _value(test, "WORKING_DIRECTORY", "/"))


def _shown(tree: str, label: str) -> list[dict]:
    words = ["ctest", "--test-dir", str(ROOT / tree), "--show-only=json-v1", "-L", f"^{label}$"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Trouble(f"{tree} is not built: make debug build first")
    tests = json.loads(done.stdout)["tests"]
    missing = [test["name"] for test in tests if "command" not in test]
    if missing or not tests:
        raise Trouble(f"{tree}: {(missing or ['its tests'])[0]} is not built: make debug build first")
    return tests


@functools.cache
def cases() -> list[Case]:
    """Every case of both trees that runs something of ours."""
    listed = [_case(test) for tree, label in TREES.items() for test in _shown(tree, label)]
    names = [case.name for case in listed]
    if len(set(names)) != len(names):
        raise Trouble(f"case {next(name for name in names if names.count(name) > 1)} is listed twice")
    return [case for case in listed if not NOT_REPEATED & set(case.labels)]


def short(listed: list[Case]) -> list[Case]:
    """Without what `make test` has no time for in guests: twins on epoll and with a drawn order of completions, which use
    nothing that a kernel may lack, and parsers."""
    return [case for case in listed if ".epoll" not in case.name and ".chaos." not in case.name and "fuzz" not in case.labels]


def programs_only() -> list[str]:
    """What `make build` puts into build/bin: enough for a guest that installs and runs the programs."""
    found = sorted(str(path) for path in (ROOT / "build/bin").glob("*") if path.is_file())
    if not found:
        raise Trouble("build is not built: make build first")
    return found


def built_files() -> list[str]:
    """Files of the build trees that the cases need: programs, tests, and what a tree keeps for them."""
    out = set()
    for tree in TREES:
        out |= {str(path) for path in (ROOT / tree / "bin").glob("*") if path.is_file()}
        out |= {str(path) for path in (ROOT / tree / "cache").glob("*") if path.is_file()}
        out.add(str(ROOT / tree / "CMakeCache.txt"))
    for case in cases():
        out |= {word for word in case.command if word.startswith(str(ROOT / "build")) and os.path.isfile(word)}
    return sorted(path for path in out if os.path.exists(path))


def programs() -> list[str]:
    """What the loader starts in the build trees, found without ctest: the system is the same whatever a guest does with it."""
    def is_elf(path):
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    found = [path for tree in TREES for place in PROGRAMS for path in sorted((ROOT / tree).glob(place))]
    return [str(path) for path in found if path.is_file() and os.access(path, os.X_OK) and is_elf(path)]


def directories() -> set[str]:
    """Of the build trees, where cases start."""
    return {case.directory for case in cases() if case.directory.startswith(str(ROOT))}


def named(words: list[str], known: list[Case]) -> list[Case]:
    """Cases by the beginning of ctest's name, or by the path of a file of tests/netns, front, bench or expose."""
    chosen = []
    for word in words:
        stem = pathlib.Path(word).with_suffix("")
        hits = [case for case in known if case.name.startswith(word)]
        if not hits and "/" in word:
            hits = [case for case in known if (case.name + ".").startswith(f"{stem.parent.name}.{stem.name}.")]
        if not hits:
            raise Trouble(f"no case is called {word}: `ctest --test-dir build -N -L root` and `ctest --test-dir build-asan -N "
                          "-L check` list them")
        chosen += [case for case in hits if case not in chosen]
    return chosen
