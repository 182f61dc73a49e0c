# SPDX-License-Identifier: GPL-2.0-only
"""Pages from a result of run.py: docs/benchmarks.md and a plot of each figure. Usage: report.py RESULT.json --out DIR"""
import argparse
import json
import os
import sys

import figures
import layouts
import plot
from stats import median_interval, paired

BASES = ("direct", "haproxy")
HEAD, TAIL = "<!-- measured: begin -->", "<!-- measured: end -->"


def column(result, figure, variant, value):
    return [run[value] if run else None for run in result["results"][figure].get(variant, [])]


def share(result, figure, variant, base, value):
    """(ratio, low, high) of the medians of paired rounds; None where one of the two is missing."""
    ratios = paired(column(result, figure, variant, value), column(result, figure, base, value))
    return median_interval(ratios) if ratios else None


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio_text(found):
    return "" if found is None else f"{found[0]:.2f} ({found[1]:.2f}-{found[2]:.2f})"


def rows(result, figure):
    """Lines of one figure's table: variant, its values' medians, and its share of each base of the same layout."""
    out = []
    for variant in result["results"][figure.name]:
        cells = [layouts.short(figure.layout, variant)]
        for value in figure.values:
            measured = [entry for entry in column(result, figure.name, variant, value) if entry is not None]
            cells.append(number(median_interval(measured)[0]) if measured else "failed")
        for base in BASES:
            for value in (figure.higher, figure.cost):
                same = layouts.full(figure.layout, base)
                cells.append(ratio_text(share(result, figure.name, variant, same, value)))
        out.append(cells)
    return out


def heading(figure):
    shares = [f"{what} / {base}'s" for base in BASES for what in ("rate", "CPU")]
    return ["variant", *figure.values.values(), *shares]


def title(figure):
    return figure.what if figure.layout == layouts.WHOLE else f"relay alone: {figure.what}"


def known(result):
    return [figure for figure in figures.ALL if figure.name in result["results"]]


def machine_text(result):
    facts = result["machine"]
    noise = ", ".join(f"{100 * share:.1f}%" for share in result["idle_noise"])
    changed = ", with changes that are not committed" if facts["changed"] else ""
    return (f"{facts['cpu']}, {facts['cores']} cores, {facts['memory']}, Linux {facts['kernel']}; commit {facts['commit']}"
            f"{changed}; {result['when']}; {result['pairs']} rounds of {result['seconds']:g} s; idle machine busy before "
            f"and after: {noise}")


def summary(result):
    """For the terminal."""
    out = [machine_text(result)]
    for figure in known(result):
        table = [heading(figure), *rows(result, figure)]
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
        out.append(f"\n{title(figure)}")
        out += ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table]
    for variant, kib in result["memory"]["kib"].items():
        each = ", ".join(f"{name} {value:.2f} KiB" for name, value in kib.items())
        out.append(f"\n{variant}: user memory an idle connection, {result['memory']['connections']} of them: {each}")
    out += [f"failed: {text}" for text in result["failures"]]
    return "\n".join(out)


def section(result, layout):
    """Lines: what was measured in this layout, and a table and a plot a figure."""
    def told(texts):
        return [(layouts.short(layout, name), text) for name, text in texts.items()
                if result.get("layouts", {}).get(name, layouts.WHOLE) == layout]
    out = ["", f"### {layouts.TITLES[layout]}", "", "| variant | what |", "|---|---|"]
    out += [f"| {name} | {what} |" for name, what in told(result["what"])]
    out += [f"| {name} | not measured: {why} |" for name, why in told(result["skipped"])]
    for figure in layouts.of(layout, known(result)):
        text, head = title(figure), heading(figure)
        out += ["", f"#### {text[0].upper()}{text[1:]}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        out += ["| " + " | ".join(line) + " |" for line in rows(result, figure)]
        out += ["", f"![{text}](benchmarks/{figure.name}.svg)"]
    return out


def markdown(result):
    out = [machine_text(result) + "."]
    for layout in layouts.ALL:
        if layouts.of(layout, known(result)):
            out += section(result, layout)
    if result["memory"]["kib"]:
        out += ["", "### Memory", "", f"User memory (private pages) an idle connection, {result['memory']['connections']} of "
                "them, each after one byte there and back; the kernel's sockets are not in it.", "",
                "| variant | process | KiB |", "|---|---|---|"]
        out += [f"| {variant} | {name} | {value:.2f} |" for variant, kib in result["memory"]["kib"].items()
                for name, value in kib.items()]
    if result["failures"]:
        out += ["", "Runs that gave no figure:", ""] + [f"* {text}" for text in result["failures"]]
    return "\n".join(out) + "\n"


def write_pages(result, directory):
    """Replaces what stands between the marks of DIRECTORY/benchmarks.md, and the plots."""
    page = os.path.join(directory, "benchmarks.md")
    with open(page) as file:
        text = file.read()
    if HEAD not in text or TAIL not in text:
        raise ValueError(f"{page}: the lines '{HEAD}' and '{TAIL}' are not there")
    before, after = text.split(HEAD)[0], text.split(TAIL)[1]
    with open(page, "w") as file:
        file.write(f"{before}{HEAD}\n{markdown(result)}{TAIL}{after}")
    plots = os.path.join(directory, "benchmarks")
    os.makedirs(plots, exist_ok=True)
    for figure in known(result):
        bars = []
        for variant in result["results"][figure.name]:
            measured = [entry for entry in column(result, figure.name, variant, figure.higher) if entry is not None]
            if measured:
                bars.append((layouts.short(figure.layout, variant), *median_interval(measured)))
        with open(os.path.join(plots, f"{figure.name}.svg"), "w") as file:
            file.write(plot.bars(title(figure), figure.values[figure.higher], bars))
    with open(os.path.join(plots, "result.json"), "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


def main(words):
    parser = argparse.ArgumentParser(prog="tests/bench/report.py", description=__doc__.splitlines()[0])
    parser.add_argument("result")
    parser.add_argument("--out", default="docs", help="directory of benchmarks.md (default docs)")
    options = parser.parse_args(words)
    try:
        with open(options.result) as file:
            result = json.load(file)
        write_pages(result, options.out)
    except (OSError, ValueError) as problem:
        sys.exit(f"error: {problem}")
    print(f"written: {options.out}/benchmarks.md and {options.out}/benchmarks/")


if __name__ == "__main__":
    main(sys.argv[1:])
