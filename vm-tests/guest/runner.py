# SPDX-License-Identifier: GPL-2.0-only
"""Runs the cases of a job inside a guest and says what came of each, one JSON object a line, on the second serial port.

The job (/run/nfr/job.json) holds the cases as ctest has them. Cases of one GoogleTest program run in one process: starting
a program is what an emulated machine does worst. A case that ends or blocks its process fails alone; the others go on.
"""
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import time

JOB = pathlib.Path("/run/nfr/job.json")
PORT = "/dev/ttyS1"
OUTPUT_BYTES_MAX = 12000
FILTER_CASES_MAX = 400
CAPABILITY = re.compile(r"capability:? ((?:program )?[^\s(:]+)")
GTEST_LINE = re.compile(r"^\[ *(RUN|OK|FAILED|SKIPPED) +\] ([\w/]+\.[\w/]+)")


class Port:
    """Where answers go: whole lines, at once."""

    def __init__(self, path: str):
        self.descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY)
        if os.isatty(self.descriptor):
            subprocess.run(["stty", "-F", path, "raw", "-echo"], check=False)

    def say(self, **answer) -> None:
        data = (json.dumps(answer) + "\n").encode()
        while data:
            data = data[os.write(self.descriptor, data):]


def environment(case: dict, job: dict) -> dict:
    return {**os.environ, **job["environment"], **case["environment"]}


def tail(text: str) -> str:
    return text if len(text) <= OUTPUT_BYTES_MAX else "[...]\n" + text[-OUTPUT_BYTES_MAX:]


def capability_in(text: str) -> str:
    found = CAPABILITY.search(text)
    return found[1] if found else ""


class Output:
    """Lines of a process until it ends or a line takes too long."""

    def __init__(self, words, env, directory):
        try:
            self.process = subprocess.Popen(words, env=env, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as problem:
            # It cannot be started: the case fails as if it had said so.
            self.process = subprocess.Popen(["sh", "-c", 'echo "$0"; exit 127', str(problem)], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self._rest = b""

    def line(self, deadline: float) -> str | None:
        """None: at its end. TimeoutError: past the deadline of time.monotonic()."""
        pipe = self.process.stdout.fileno()
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise TimeoutError
            got = os.read(pipe, 65536)
            if not got:
                last, self._rest = self._rest, b""
                return last.decode(errors="replace") if last else None
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")

    def kill(self) -> None:
        for number, wait_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(wait_s)
                return
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass


class GroupRun:
    """One process of a GoogleTest program, and what it has said so far of its cases."""

    def __init__(self, port: Port, cases: list[dict], job: dict):
        self.port = port
        self.by_test = {test_of(case): case for case in cases}
        self.case_of = dict(self.by_test)
        self.last = ""
        self.failed = 0
        first = cases[0]
        words = [first["command"][0], "--gtest_filter=" + ":".join(self.by_test), "--gtest_also_run_disabled_tests"]
        self.output = Output(words, environment(first, job), first["directory"])
        self.timeout_s = first["timeout_s"]
        self.running: str | None = None
        self.said: list[str] = []
        self.began = time.monotonic()

    def take(self, line: str) -> None:
        match = GTEST_LINE.match(line)
        if match is None or match[2] not in self.by_test:
            self.said.append(line)
            return
        if match[1] == "RUN":
            self.running, self.said, self.began = match[2], [], time.monotonic()
        elif match[2] == self.running:
            self.report({"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}[match[1]])

    def report(self, result: str) -> None:
        case = self.by_test.pop(self.running)
        self.last = self.running
        self.failed += result == "failed"
        text = "\n".join(self.said)
        self.port.say(case=case["name"], result=result, seconds=round(time.monotonic() - self.began, 3),
                      capability=capability_in(text) if result == "skipped" else "",
                      output=tail(text) if result == "failed" else "")
        self.running = None

    def limit(self) -> float:
        return self.began + self.timeout_s

    def run(self) -> list[dict]:
        """The cases that this process never came to."""
        try:
            while (line := self.output.line(self.limit())) is not None:
                self.take(line)
            code = self.output.process.wait()
            self.said.append(f"the process ended with {code}")
            if code != 0 and self.failed == 0 and not self.by_test:
                # A leak, a destructor: what is reported after the last case fails that one.
                self.by_test[self.last], self.running = self.case_of[self.last], self.last
        except TimeoutError:
            self.said.append(f"not done after {time.monotonic() - self.began:.0f} s")
            self.output.kill()
        if self.running is None and self.by_test:
            # It ended between cases, or before the first: one of them has to answer for it.
            self.running = next(iter(self.by_test))
        if self.running is not None:
            self.report("failed")
        return list(self.by_test.values())


def test_of(case: dict) -> str:
    """The GoogleTest name of a case, empty for what is none."""
    return next((word.removeprefix("--gtest_filter=") for word in case["command"] if word.startswith("--gtest_filter=")), "")


def run_plain(port: Port, case: dict, job: dict) -> None:
    began = time.monotonic()
    program, *words = case["command"]
    command = ["python3" if os.path.basename(program).startswith("python3") else program, *words]
    output = Output(command, environment(case, job), case["directory"])
    said: list[str] = []
    try:
        while (line := output.line(began + case["timeout_s"])) is not None:
            said.append(line)
        code = output.process.wait()
    except TimeoutError:
        said.append(f"not done after {case['timeout_s']:.0f} s")
        output.kill()
        code = -1
    result = "passed" if code == 0 else "skipped" if code == case["skip_code"] else "failed"
    text = "\n".join(said)
    port.say(case=case["name"], result=result, seconds=round(time.monotonic() - began, 3),
             capability=capability_in(text) if result == "skipped" else "",
             output=tail(f"{text}\nended with {code}") if result == "failed" or job.get("verbose") else "")


def groups(cases: list[dict]) -> list[list[dict]]:
    """Cases that one process can run, in the order of their first."""
    found: dict[tuple, list[dict]] = {}
    for case in cases:
        key = (case["command"][0], json.dumps(case["environment"]), case["directory"], case["timeout_s"],
               case["name"] if not test_of(case) else "")
        found.setdefault(key, []).append(case)
    return [group[start:start + FILTER_CASES_MAX]
            for group in found.values() for start in range(0, len(group), FILTER_CASES_MAX)]


def run_group(port: Port, cases: list[dict], job: dict) -> None:
    port.say(begin=cases[0]["name"], of=len(cases))
    if not test_of(cases[0]):
        run_plain(port, cases[0], job)
        return
    while cases:
        cases = GroupRun(port, cases, job).run()


def main() -> None:
    port = Port(sys.argv[1] if len(sys.argv) > 1 else PORT)
    job = json.loads((pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else JOB).read_text())
    port.say(booted=time.clock_gettime(time.CLOCK_BOOTTIME), release=os.uname().release)
    if job.get("probe"):
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
        import probe  # pylint: disable=import-outside-toplevel
        for name, missing in probe.all_of(job["probe"], ours=True):
            port.say(capability=name, missing=missing)
    for group in groups(job["cases"]):
        run_group(port, group, job)
    port.say(end=True, seconds=time.clock_gettime(time.CLOCK_BOOTTIME))


if __name__ == "__main__":
    main()
