# SPDX-License-Identifier: GPL-2.0-only
"""docs/kernel-support.md from what the runs left: features by kernel, and why something is not there."""
import json
import subprocess
import sys

from . import HERE, ROOT, Trouble, kernels, session

PAGE = ROOT / "docs/kernel-support.md"
# Between these lines the page is written here; the rest is prose.
FIRST = "<!-- from here to the end of the table: vm-tests/run report -->"
LAST = "<!-- the end of the table -->"
NOT_TRIED = "not tried outside of a guest"  # guest/probe.py
# The host's column, from the end of a row: another machine need not share it.
HOST_COLUMN = 3


def features() -> list[tuple[str, str, str, str]]:
    """The rows: capability, what it is, what uses it, what happens without."""
    rows = []
    for line in (HERE / "features.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, what, user, without = (part.strip() for part in line.split("|"))
            rows.append((name, what, user, without))
    return rows


def _of_guest(kernel: kernels.Kernel) -> dict:
    path = session.RESULTS / f"{kernel.name}.json"
    if not path.exists():
        raise Trouble(f"kernel {kernel.name} has no result yet: vm-tests/run {kernel.name} makes it")
    return json.loads(path.read_text())


def _of_host(names: list[str]) -> dict:
    shown = subprocess.run([sys.executable, "-B", HERE / "guest/probe.py", *names], check=True, capture_output=True,
                           text=True).stdout
    found = dict(line.split(maxsplit=1) for line in shown.splitlines())
    return {"release": subprocess.run(["uname", "-r"], check=True, capture_output=True, text=True).stdout.strip(),
            "capabilities": {name: None if found[name].strip() == "yes" else found[name].strip() for name in names}}


def _cell(result: dict, name: str, reasons: list[str], kernel: str) -> str:
    missing = result["capabilities"].get(name, "not probed")
    if missing is None:
        return "yes"
    if missing == NOT_TRIED:
        return "not tried"
    reasons.append(f"* {name}, {kernel}: {missing}")
    return "no"


def table() -> list[str]:
    """Markdown lines: the table, then why each `no` is one."""
    rows = features()
    names = [name for name, *_ in rows]
    declared = [kernel for kernel in kernels.declared().values() if kernel.name != kernels.HOST]
    results = {kernel.name: _of_guest(kernel) for kernel in declared}
    results[kernels.HOST] = _of_host(names)
    reasons: list[str] = []
    heads = [f"{name} ({result['release']})" for name, result in results.items()]
    lines = ["| | used by | " + " | ".join(heads) + " | without it |", "|" + "---|" * (len(heads) + 3)]
    for name, what, user, without in rows:
        cells = [_cell(result, name, reasons, kernel) for kernel, result in results.items()]
        lines.append(f"| {what} | {user} | " + " | ".join(cells) + f" | {without} |")
    return [*lines, "", *reasons]


def judged(lines: list[str]) -> list[str]:
    """What another machine has to find as well: no releases, nothing of the host."""
    rows = [line.split("|") for line in lines if line.startswith("| ") and not line.startswith("| |")]
    kept = ["|".join(cells[:-HOST_COLUMN] + cells[-2:]) for cells in rows]
    return kept + [line for line in lines if line.startswith("* ") and f", {kernels.HOST}: " not in line]


def _split(text: str) -> tuple[str, list[str], str]:
    before, first, rest = text.partition(FIRST + "\n")
    inside, last, after = rest.partition(LAST + "\n")
    if not first or not last:
        raise Trouble(f"{PAGE} has lost the lines around its table: '{FIRST}' and '{LAST}'")
    return before, inside.splitlines(), after


def write() -> None:
    before, _, after = _split(PAGE.read_text())
    PAGE.write_text(before + FIRST + "\n" + "\n".join(table()) + "\n" + LAST + "\n" + after)


def stale() -> list[str]:
    """Lines that the page has and should not, or should have; empty: it is what the runs found."""
    there, found = judged(_split(PAGE.read_text())[1]), judged(table())
    return [f"- {line}" for line in there if line not in found] + [f"+ {line}" for line in found if line not in there]
