# SPDX-License-Identifier: GPL-2.0-only
"""Every figure once, quickly, as somebody types it: no verdict on speed, but each value is there, plausible, and of bytes
that all arrived. Then the page of it. Exit code 77: a named capability is missing."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

import harness  # noqa: F401
from netlab.case import SKIP_EXIT_CODE, Skip, check, need_namespaces, need_program

HERE = pathlib.Path(__file__).resolve().parent
CARRYING = ["direct", "dnat", "haproxy", "nginx", "socat", "relay-uring-plain", "haproxy-twice", "path-epoll-tls"]
HOLDING = ["direct", "relay-epoll-plain"]
AWAY = "bore"  # in no Debian package: named, not measured
CONNECTIONS, MAPPED_PORTS = 300, 200
# Nothing here is a promise of speed: outside of these a figure is of another unit, or of nothing.
PLAUSIBLE = {"gbps": (0.01, 1000), "cpu_s_per_gib": (0.01, 100), "per_second": (10, 3e6), "p50_us": (1, 5e6),
             "p99_us": (1, 5e6), "cpu_us_each": (0.5, 1e6), "kernel_kib_each": (0.5, 1000), "map_ms": (1, 30_000),
             "maps_ms": (1, 30_000), "descriptors": (MAPPED_PORTS, 5 * MAPPED_PORTS), "private_mib": (0, 100),
             "user_kib_each": (0, 1000), "connections": (CONNECTIONS, CONNECTIONS)}


def measured(directory, names, *words):
    path = os.path.join(directory, "result.json")
    done = subprocess.run([HERE / "run", "--pairs", "1", "--idle-seconds", "0.1", "--only", ",".join(names), "--json", path,
                           *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(done.returncode == 0, f"run: exit {done.returncode}:\n{done.stdout}")
    with open(path) as file:
        result = json.load(file)
    check(result["complete"] and not result["failures"], f"failures:\n{done.stdout}")
    return path, result, done.stdout


def check_cell(cell, names):
    for name in names:
        sample = cell["rounds"][0].get(name)
        if sample is None and cell["figure"] == "mappings":
            continue  # ours only
        check(sample is not None, f"{cell['name']}: {name} gave no figure")
        for metric in cell["metrics"]:
            low, high = PLAUSIBLE[metric]
            check(low <= sample[metric] <= high, f"{cell['name']}: {name}: {metric} is {sample[metric]}")
        check(sample.get("asked_bytes") == sample.get("moved_bytes"), f"{cell['name']}: {name}: bytes are missing")
        check(sample.get("p50_us", 0) <= sample.get("p99_us", 0), f"{cell['name']}: {name}: p50 above p99")


def check_result(result, names, cells):
    check([cell["name"] for cell in result["cells"]] == cells, f"cells: {[cell['name'] for cell in result['cells']]}")
    check(result["machine"]["cores"] >= 1 and result["machine"]["memory_gib"] > 0, f"machine: {result['machine']}")
    for cell in result["cells"]:
        check(len(cell["idle_cpu"]) == 2, f"{cell['name']}: the idle machine was not looked at")
        check_cell(cell, names)


def carrying(directory):
    path, result, shown = measured(directory, CARRYING + [AWAY], "--seconds", "0.1", "--figures", "bulk,pingpong,connect")
    check_result(result, CARRYING, ["download-1", "upload-1", "download-8", "upload-8", "pingpong-1", "pingpong-64",
                                    "pingpong-1000", "connect"])
    if shutil.which(AWAY) is None:
        check([skipped["name"] for skipped in result["skipped"]] == [AWAY], f"skipped: {result['skipped']}")
        check(f"program {AWAY} is not on this machine" in shown, f"nothing says that {AWAY} is missing:\n{shown}")
    return path


def holding(directory):
    _, result, _ = measured(directory, HOLDING, "--figures", "memory,mappings", "--connections", str(CONNECTIONS),
                            "--mapped-ports", str(MAPPED_PORTS))
    check_result(result, HOLDING, ["memory", "mappings"])
    sample = result["cells"][1]["rounds"][0].get("relay-epoll-plain")
    check(sample is not None, "no figure of mappings")


def page(directory, path):
    subprocess.run([HERE / "report", path, "--out", directory], check=True, stdout=subprocess.DEVNULL)
    pictures = sorted(pathlib.Path(directory, "benchmarks").glob("*.svg"))
    check(len(pictures) == 6, f"pictures: {pictures}")
    for picture in pictures:
        xml.parse(picture)
    text = pathlib.Path(directory, "benchmarks.md").read_text()
    check(text.count("| direct kernel routing") == 16, "not every table has the limit")


def timed(step, *words):
    began = time.monotonic()
    out = step(*words)
    print(f"ok {step.__name__} {time.monotonic() - began:.1f} s", flush=True)
    return out


def main():
    try:
        need_namespaces()
        for program in ("haproxy", "nginx", "socat", "nft"):
            need_program(program)
    except Skip as missing:
        print(f"SKIP: capability {missing}")
        sys.exit(SKIP_EXIT_CODE)
    with tempfile.TemporaryDirectory(prefix="nfr-bench-") as directory:
        path = timed(carrying, directory)
        timed(page, directory, path)
        timed(holding, directory)


if __name__ == "__main__":
    main()
