# SPDX-License-Identifier: GPL-2.0-only
"""The bench sees what it must: an agent that burns 20 us of processor time a socket call is slower, with the whole
interval; the same programs twice are not different. Exit code 77: a named capability is missing."""
import dataclasses
import os
import shutil
import sys
import tempfile

import harness  # noqa: F401
import ours
from comparison import compared, comparison, verdict_of
from figures import CELLS, raise_descriptor_limit
from netlab.case import SKIP_EXIT_CODE, Skip, check, need_namespaces
from netlab.daemons import binary
from rig import Variant
from session import Options, Session
from stats import median
from variants import WHOLE_PATH

PAIRS, SECONDS = 8, 0.4
CELL = next(cell for cell in CELLS if cell.name == "pingpong-64")
# One of 128 comparisons of a thing with itself has 1 outside its interval, by the interval's making; one that is off by a
# tenth as well is a fault of the bench.
SAME_WITHIN = 0.1


def variant(name, build):
    return Variant(name, WHOLE_PATH, name, ours.whole_path(build), ours=True, build=build)


def main():
    try:
        need_namespaces()
    except Skip as missing:
        print(f"SKIP: capability {missing}")
        sys.exit(SKIP_EXIT_CODE)
    raise_descriptor_limit()
    plain = ours.Build(io="epoll")
    with tempfile.TemporaryDirectory(prefix="nfr-bench-") as directory:
        library = shutil.copy(binary("nf-slow-io.so"), os.path.join(directory, "nf-slow-io.so"))
        slow = dataclasses.replace(plain, preload=library)
        known = [variant("one", plain), variant("same", plain), variant("slowed", slow)]
        result = Session(known, Options(PAIRS, SECONDS, 10, 10, 0.1, cells=[CELL])).run()
    check(not result["skipped"] and not result["failures"], f"{result['skipped']} {result['failures']}")
    for other in ("slowed", "same"):
        print(comparison(result, "one", other))
    cell = result["cells"][0]
    for metric, word in (("per_second", "slower"), ("cpu_us_each", "dearer")):
        found = verdict_of(cell, metric, "one", "slowed")
        check(found == f"slowed is {word}", f"{metric}: {found}")
        same = median(compared(cell, metric, "one", "same"))
        check(verdict_of(cell, metric, "one", "same") == "no difference" or abs(same - 1) < SAME_WITHIN,
              f"{metric}: the same programs differ: {same}")


if __name__ == "__main__":
    main()
