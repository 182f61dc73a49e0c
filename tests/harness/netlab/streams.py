# SPDX-License-Identifier: GPL-2.0-only
"""nf-stream from a test: clients in the visitor's namespace, servers in the agent's, verdict as a dictionary."""
import json
import subprocess

from .case import check, note
from .daemons import binary
from .process import Process

VIOLATION_EXIT_CODE = 3


class Streams:
    """One run of nf-stream. finish() waits for it and checks its verdict."""

    def __init__(self, lab, name, connect, listen, **options):
        self.lab = lab
        self.result_path = lab.path(f"{name}.json")
        words = [binary("nf-stream"), "--json", self.result_path, "--connect-ns", lab.net.visitor.path, "--listen-ns",
                 lab.net.agent.path, "--seed", options.pop("seed", lab.random.getrandbits(32))]
        for flag, values in (("--connect", connect), ("--listen", listen)):
            for value in values:
                words += [flag, value]
        for option, value in options.items():
            words += [f"--{option.replace('_', '-')}"] + ([] if value is True else [value])
        self.process = lab.track(Process(name, None, words, lab.path(f"{name}.log")))

    def wait_running(self):
        self.process.wait_log("running, seed")
        return self

    def end_soon(self):
        """No new connections from now on."""
        self.process.signal(15)

    def finish(self, seconds, expect=0):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"{self.process.name} still runs after {seconds} s:\n{self.process.log()}") from late
        check(code == expect, f"{self.process.name}: exit {code}, expected {expect}:\n{self.process.log()}")
        with open(self.result_path) as file:
            result = json.load(file)
        note(self.process.log().strip().splitlines()[-1])
        return result


def run(lab, name, connect, listen, wait_seconds, **options):
    return Streams(lab, name, connect, listen, **options).finish(wait_seconds)
