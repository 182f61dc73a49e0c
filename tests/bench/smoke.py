# SPDX-License-Identifier: GPL-2.0-only
"""Keeps the benchmark alive: every figure of two variants a layout comes out and makes sense, a relay that is slower on
purpose is seen as slower, and a relay against itself is not. No verdict on speed.

Exit code 77: a named program is missing, as in tests/netns.
"""
import argparse
import os
import shutil
import sys
import tempfile

import compare
import figures
import harness  # noqa: F401
import layouts
import run
import variants
from lab import Bench
from netlab.case import SKIP_EXIT_CODE, check, note, scale, scaled
from netlab.daemons import binary

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ("direct", "netferry")  # in each layout
PAIRS = min(11, scaled(11, 6))
SECONDS = min(0.3, max(0.05, 0.3 * scale()))


def every_figure():
    bench = Bench()
    try:
        bench.start([kind for kind in variants.ALL if layouts.short(kind.layout, kind.name) in NAMES])
        check(not bench.skipped, f"skipped: {bench.skipped}")
        results, failures = run.measure(bench, figures.ALL, 1, SECONDS, lambda *_, **__: None)
    finally:
        measured = bench.variants
        bench.close()
    memory = run.idle(measured, min(200, scaled(200, 50)), failures)
    check(not failures, f"failed: {failures}")
    for figure in figures.ALL:
        found = results[figure.name]
        check(set(found) == {layouts.full(figure.layout, name) for name in NAMES}, f"{figure.name}: of {set(found)}")
        for name, rounds in found.items():
            for value in figure.values:
                check(rounds[0][value] > 0, f"{figure.name}, {name}: {value} is not positive")
    for name in NAMES:
        slow, fast = (results[which][name][0]["per_s"] for which in ("first-byte", "ping-pong-64"))
        check(slow < fast, f"{name}: more new connections than transactions on old ones: {slow} and {fast}")
    check({name: set(kib) for name, kib in memory["kib"].items()} == {"netferry": {"relay", "agent"}}, f"memory: {memory}")
    note("every figure of direct and netferry came out, in both layouts")


def against(directory, environment, pairs):
    """The ratio and verdict of a relay with this environment against one without, on epoll: it calls send and recv."""
    options = argparse.Namespace(io="epoll", leg="plain")
    kinds = (compare.kind("A", directory, options, 7707, 1100), compare.kind("B", directory, options, 7717, 1200, environment))
    found, failures = compare.compare(kinds, [figures.PingPong(1)], pairs, SECONDS, lambda *_, **__: None)
    check(not failures, f"failed: {failures}")
    return found["ping-pong-1", "per_s"]


def a_slower_relay_is_seen():
    directory = os.path.dirname(binary("nfrelayd"))
    with tempfile.TemporaryDirectory(prefix="nfr-bench-") as place:
        os.chmod(place, 0o755)  # the relay process has a user of its own
        library = shutil.copy(binary("nf-slow-calls.so"), place)
        ratio, low, high, verdict = against(directory, {"LD_PRELOAD": library}, PAIRS)
        note(f"100 us burnt in each call: {ratio:.2f} ({low:.2f}-{high:.2f}), {verdict}")
        check(verdict == "slower", "a relay that is slower on purpose is not seen as slower")
    ratio, low, high, verdict = against(directory, None, PAIRS)
    note(f"the same against itself: {ratio:.2f} ({low:.2f}-{high:.2f}), {verdict}")
    check(verdict == "no difference" or 0.85 < ratio < 1.18, "a relay differs from itself")


def main():
    if variants.program("iperf3") is None:
        print("SKIP: capability program iperf3")
        return SKIP_EXIT_CODE
    if os.geteuid() != 0:
        print("SKIP: capability root")
        return SKIP_EXIT_CODE
    for step in (every_figure, a_slower_relay_is_seen):
        step()
        print(f"ok {step.__name__}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
