# SPDX-License-Identifier: GPL-2.0-only
"""What the front door's tests share: where things are, processes found by a mark in their environment, skipping."""
import os
import pathlib
import subprocess
import sys
import time
import unittest
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
TREE = pathlib.Path(os.environ.get("NETFERRY_TREE", ROOT / "build"))
SKIPPED = 77
MARK = "NETFERRY_TEST_MARK"


def new_mark() -> str:
    return f"{os.getpid()}-{uuid.uuid4()}"


def marked(mark: str) -> list[str]:
    """Every process that inherited `mark`, as "PID name"; zombies have no environment and do not count."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(f"{entry.name} {(entry / 'comm').read_text().strip()}")
        except OSError:
            continue  # it ended, or is another user's
    return found


def wait_until(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def lacks_namespaces() -> str:
    """Empty where network namespaces can be made, else why not."""
    if os.geteuid() != 0:
        return "root"
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else "namespaces"


def skip_without(capability: str, detail: str = "") -> None:
    """Ends the program as skipped, naming the capability."""
    print(f"SKIPPED: capability {capability} is missing {detail}".rstrip())
    sys.exit(SKIPPED)


def main() -> None:
    unittest.main(verbosity=2)


def some_of(*choices):
    """All of them; the first where NFR_SCALE is a fraction, as in an emulated guest."""
    return choices[:1] if float(os.environ.get("NFR_SCALE") or 1) < 1 else choices
