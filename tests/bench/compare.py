# SPDX-License-Identifier: GPL-2.0-only
"""Two builds of Netferry against each other, interleaved in one run: is B faster than A?

Usage: tests/bench/compare.py A B [--pairs N] [--seconds S] [--figures NAME,...] [--io io_uring|epoll] [--leg plain|tls]
A and B: a commit (built in a directory of its own below build/) or a directory with nfrelayd and nfagent.
"""
import argparse
import os
import subprocess
import sys

import figures
import layouts
import run
import variants
from lab import Bench
from stats import median_interval, paired, verdict

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


def programs_of(text):
    """The directory of the programs; a commit is built first."""
    if os.access(os.path.join(text, "nfrelayd"), os.X_OK):
        return os.path.realpath(text)
    found = subprocess.run(["git", "-C", ROOT, "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}"],
                           capture_output=True, text=True)
    if found.returncode != 0:
        sys.exit(f"error: '{text}' is neither a commit nor a directory with nfrelayd: give one of them")
    commit = found.stdout.strip()[:12]
    tree = os.path.join(ROOT, "build", "compare", commit)
    if not os.path.isdir(tree):
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", tree, commit], check=True)
    build = os.path.join(tree, "build")
    print(f"building {commit} in {tree}", flush=True)
    subprocess.run(["cmake", "-S", tree, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", build, "nfrelayd", "nfagent"], check=True, stdout=subprocess.DEVNULL)
    return os.path.join(build, "bin")


def kind(label, directory, options, tunnel, offset, environment=None):
    """A variant of this build, under its letter."""
    return type(f"Netferry{label}", (variants.Netferry,),
                {"name": label, "what": directory, "bin": directory, "io": options.io, "leg": options.leg,
                 "tunnel": tunnel, "offset": offset, "environment": environment})


def compare(kinds, measured, pairs, seconds, say=print):
    """{(figure, value): (ratio B/A, low, high, verdict)} and failures; kinds: the two variants."""
    bench = Bench()
    try:
        bench.start(kinds)
        if len(bench.variants) != 2:
            raise RuntimeError(f"does not start: {bench.skipped}")
        results, failures = run.measure(bench, measured, pairs, seconds, say)
    finally:
        bench.close()
    first, second = (each.name for each in kinds)
    out = {}
    for figure in measured:
        for value, higher_is_better in ((figure.higher, True), (figure.cost, False)):
            columns = [[entry[value] if entry else None for entry in results[figure.name][name]]
                       for name in (second, first)]
            ratios = paired(*columns)
            if ratios:
                out[figure.name, value] = (*median_interval(ratios), verdict(ratios, higher_is_better))
    return out, failures


def main(words):
    parser = argparse.ArgumentParser(prog="tests/bench/compare.py", description=__doc__.splitlines()[0])
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--figures", default="download-1,upload-1,ping-pong-1,ping-pong-64,connect")
    parser.add_argument("--io", default="io_uring", choices=("io_uring", "epoll"))
    parser.add_argument("--leg", default="plain", choices=("plain", "tls"))
    options = parser.parse_args(words)
    measured = run.chosen(parser, "--figures", options.figures, layouts.of(layouts.WHOLE, figures.ALL))
    if options.pairs < 1 or not 0.2 <= options.seconds <= 60:
        parser.error("--pairs from 1, --seconds from 0.2 to 60")
    kinds = (kind("A", programs_of(options.a), options, 7707, 1100), kind("B", programs_of(options.b), options, 7717, 1200))
    found, failures = compare(kinds, measured, options.pairs, options.seconds)
    print(f"A: {options.a}\nB: {options.b}\n{'figure':<16}{'value':<14}{'B / A':<8}{'95% interval':<16}B is")
    for (figure, value), (ratio, low, high, word) in found.items():
        print(f"{figure:<16}{value:<14}{ratio:<8.2f}{f'{low:.2f}-{high:.2f}':<16}{word}")
    for text in failures:
        print(f"failed: {text}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
