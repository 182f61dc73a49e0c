#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Lets one libFuzzer binary search for FUZZ_SECONDS (default 10), starting from the committed corpus.

run.py BINARY CORPUS. New inputs go to a directory that is removed; an input that breaks a property stays in
fuzz-findings/ beside the binary, with the command that repeats it. FUZZ_KEEP=DIR adds what reached new code to DIR.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

INPUT_BYTES_MAX = 4096


def search(binary, corpus, seconds, new_inputs):
    findings = binary.parent / "fuzz-findings"
    findings.mkdir(exist_ok=True)
    command = [
        str(binary), str(new_inputs), str(corpus), f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}",
        "-timeout=5", "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={findings}/{binary.name}-",
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="backslashreplace")
    lines = done.stderr.splitlines()
    # Progress is many lines; the end says what was done, or how it broke.
    print("\n".join(lines[-60:] if done.returncode else lines[-8:]))
    if done.returncode:
        print(f"broken after a search of at most {seconds} s; to repeat: {binary} INPUT, with INPUT from {findings}")
    return done.returncode


def keep(binary, found, kept):
    """Only the inputs that together reach what all of `found` reach, small ones preferred."""
    kept.mkdir(parents=True, exist_ok=True)
    subprocess.run([str(binary), "-merge=1", str(kept), str(found)], check=True, stderr=subprocess.DEVNULL)


def main():
    binary, corpus = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    seconds = os.environ.get("FUZZ_SECONDS", "10")
    if not seconds.isdigit() or int(seconds) == 0:
        sys.exit(f"FUZZ_SECONDS={seconds!r}: expected a whole number of seconds, 1 or more")
    if not any(corpus.iterdir()):
        sys.exit(f"{corpus} is empty: it is committed, so something removed it")
    with tempfile.TemporaryDirectory() as new_inputs:
        code = search(binary, corpus, seconds, Path(new_inputs))
        if "FUZZ_KEEP" in os.environ:
            keep(binary, Path(new_inputs), Path(os.environ["FUZZ_KEEP"]) / corpus.name)
    sys.exit(1 if code else 0)


if __name__ == "__main__":
    main()
