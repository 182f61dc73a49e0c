# SPDX-License-Identifier: GPL-2.0-only
"""Measures every figure for every variant of its layout, interleaved, and writes JSON; tests/bench/report.py makes pages
of it.

Root, on a machine that does nothing else. Each round runs all variants, in an order that turns by one each time, so that
a change of the machine's mood hits all alike and ratios are taken within a round.
"""
import argparse
import datetime
import json
import os
import sys
import time

import figures
import layouts
import machine
import variants
from lab import Bench
from report import summary


def parse(words):
    parser = argparse.ArgumentParser(prog="tests/bench/run.py", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15, help="rounds (default 15)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run (default 1)")
    parser.add_argument("--layout", default="both", choices=(*layouts.ALL, "both"),
                        help="what is between visitor and server")
    parser.add_argument("--only", default="", help="variants, separated by commas")
    parser.add_argument("--figures", default="", help="figures, separated by commas")
    parser.add_argument("--idle", type=int, default=8500, help="idle connections for memory (default 8500, of 20,000 descriptors; 0: leave out)")
    parser.add_argument("--json", default="build/bench.json", help="result (default build/bench.json)")
    options = parser.parse_args(words)
    if not 1 <= options.pairs <= 1000:
        parser.error(f"--pairs {options.pairs}: from 1 to 1000")
    if not 0.2 <= options.seconds <= 60:
        parser.error(f"--seconds {options.seconds}: from 0.2 to 60")
    wanted = layouts.ALL if options.layout == "both" else (options.layout,)
    kinds, measured = (
        [each for each in chosen(parser, flag, text, known) if each.layout in wanted]
        for flag, text, known in (("--only", options.only, variants.ALL), ("--figures", options.figures, figures.ALL)))
    options.variants, options.measured = layouts.matching(kinds, measured)
    if not options.measured:
        parser.error("nothing to measure: --layout, --only and --figures leave no figure and variant of one layout")
    return options


def chosen(parser, flag, text, known):
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in [each.name for each in known]:
            parser.error(f"{flag} {name}: there are {', '.join(each.name for each in known)}")
    return [each for each in known if not names or each.name in names]


def measure(bench, measured, pairs, seconds, say=print):
    """{figure: {variant: [values of a round, or None]}} and what failed, as texts."""
    results, failures = {}, []
    began = time.monotonic()
    for done, figure in enumerate(measured):
        partners = layouts.of(figure.layout, bench.variants)
        results[figure.name] = {variant.name: [] for variant in partners}
        for number in range(pairs if partners else 0):
            turn = number % len(partners)
            for variant in partners[turn:] + partners[:turn]:
                results[figure.name][variant.name].append(one(bench, figure, variant, seconds, failures))
        spent = time.monotonic() - began
        left = spent / (done + 1) * (len(measured) - done - 1)
        say(f"{figure.name}: done; {spent / 60:.0f} min so far, about {left / 60:.0f} to go", flush=True)
    return results, failures


def one(bench, figure, variant, seconds, failures):
    try:
        return figure.run(bench.lab, variant, seconds)
    except (figures.Failed, OSError, ValueError, KeyError) as problem:
        failures.append(f"{figure.name}, {variant.name}: {problem}")
        return None


def idle(measured, connections, failures):
    """Each variant in a lab of its own, with one mapping: beside another it is held to its share of the descriptors."""
    memory = {}
    for kind in [type(each) for each in measured if each.processes()] if connections else []:
        bench = Bench()
        try:
            bench.start([type(kind.__name__, (kind,), {"services": (variants.ECHO,)})])
            memory[kind.name] = figures.idle_memory(bench.lab, bench.variants[0], connections)
        except (figures.Failed, OSError, IndexError) as problem:
            failures.append(f"idle memory, {kind.name}: {problem or bench.skipped}")
        finally:
            bench.close()
    return {"connections": connections, "kib": memory}


def main(words):
    options = parse(words)
    if os.geteuid() != 0:
        sys.exit("error: tests/bench/run.py: network namespaces need root")
    bench = Bench()
    try:
        bench.start(options.variants)
        for name, why in bench.skipped.items():
            print(f"skipped: {name}: {why}")
        noise = [machine.idle_noise()]
        results, failures = measure(bench, options.measured, options.pairs, options.seconds)
        noise.append(machine.idle_noise())
        measured = bench.variants
        bench.close()
        memory = idle(measured, options.idle, failures)
        result = {"when": datetime.datetime.now().isoformat(timespec="seconds"), "machine": machine.facts(),
                  "pairs": options.pairs, "seconds": options.seconds, "idle_noise": noise, "results": results,
                  "what": {variant.name: variant.what for variant in measured}, "skipped": bench.skipped,
                  "layouts": {kind.name: kind.layout for kind in options.variants},
                  "failures": failures, "memory": memory}
    finally:
        bench.close()
    os.makedirs(os.path.dirname(os.path.abspath(options.json)), exist_ok=True)
    with open(options.json, "w") as file:
        json.dump(result, file, indent=1)
    print(summary(result))
    print(f"written: {options.json}; pages: python3 tests/bench/report.py {options.json} --out docs")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
