# SPDX-License-Identifier: GPL-2.0-only
"""Does what the runner asks for, one JSON object a line each way, on the second serial port.

  {"run": [words], "seconds": 20}     runs it to its end: code and output; after that time it is killed and `late` is true
  {"start": name, "words": [words]}   leaves it running: its pid
  {"wait": name, "seconds": 20}       waits for its end, answers like run
  {"stop": name}                      SIGTERM, then SIGKILL: code and output
  {"read": name, "count": text}       the end of what it has written so far, and how often the text is in all of it
  {"write": path, "text": text}       a file
  {"watch": device, "over": bytes}    counts from now on what a network card moves, and the frames sent above that size
  {"seen": device}                    those counts
  {"hook": kind, "device": device}    attaches a program to a card (hook.py), or answers why not: `refused`
  {"unhook": device}                  takes it off: over how many packets it ran
It says {"ready": true} once it listens. Each answer carries the request's id; what could not be done is answered with `error`.
"""
import json
import os
import signal
import subprocess
import sys
import time
import tty

# What only one of the machines does is imported when it does it: starting Python is slow where code is emulated.

PORT = "/dev/ttyS1"
LOGS = "/run/log"
OUTPUT_BYTES_MAX = 6000


def tail(name: str) -> str:
    """The end of what a process has written."""
    with open(f"{LOGS}/{name}", "rb") as log:
        return log.read()[-OUTPUT_BYTES_MAX:].decode(errors="replace")


def end(process: subprocess.Popen) -> None:
    for number, wait_s in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
            process.wait(wait_s)
            return
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


class Machine:
    """The processes that were started here, by name, and the cards that are watched."""

    def __init__(self):
        os.makedirs(LOGS, exist_ok=True)
        self.processes: dict[str, subprocess.Popen] = {}
        self.watched: dict = {}
        self.hooks: dict = {}

    def _start(self, name: str, words: list[str]) -> subprocess.Popen:
        with open(f"{LOGS}/{name}", "wb") as log:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def _ended(self, name: str, process: subprocess.Popen, seconds: float) -> dict:
        began = time.monotonic()
        late = False
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            late = True
            end(process)
        return {"code": process.returncode, "late": late, "output": tail(name),
                "took": time.monotonic() - began}

    def do_run(self, words, seconds=20):
        return self._ended("run", self._start("run", words), seconds)

    def do_start(self, name, words):
        self.processes[name] = self._start(name, words)
        return {"pid": self.processes[name].pid}

    def do_wait(self, name, seconds=20):
        return self._ended(name, self.processes[name], seconds)

    def do_stop(self, name):
        process = self.processes.pop(name)
        end(process)
        return {"code": process.returncode, "output": tail(name)}

    def do_read(self, name, count="\n"):
        running = self.processes[name].poll() is None
        with open(f"{LOGS}/{name}", "rb") as log:
            return {"running": running, "count": log.read().count(count.encode()), "output": tail(name)}

    def do_write(self, path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return {}

    def do_watch(self, device, over):
        import frames  # pylint: disable=import-outside-toplevel
        if device in self.watched:
            self.watched.pop(device).close()
        self.watched[device] = frames.Watch(device, over)
        return {}

    def do_seen(self, device):
        return self.watched[device].seen()

    def do_hook(self, kind, device):
        import hook  # pylint: disable=import-outside-toplevel
        try:
            self.hooks[device] = hook.Hook(kind, device)
        except hook.Refused as problem:
            return {"refused": str(problem)}
        return {}

    def do_unhook(self, device):
        held = self.hooks.pop(device)
        ran = held.ran()
        held.close()
        return {"ran": ran}

    def do(self, request: dict) -> dict:
        arguments = {key: value for key, value in request.items() if key != "id"}
        verb = next(iter(arguments))
        try:
            return getattr(self, f"do_{verb}")(arguments.pop(verb), **arguments)
        except (OSError, KeyError, TypeError, AttributeError, ValueError) as problem:
            return {"error": f"{type(problem).__name__}: {problem}"}


def main() -> None:
    port = os.open(sys.argv[1] if len(sys.argv) > 1 else PORT, os.O_RDWR | os.O_NOCTTY)
    if os.isatty(port):
        tty.setraw(port)
    machine = Machine()
    rest = b""
    os.write(port, b'{"ready": true}\n')
    while True:
        got = os.read(port, 4096)
        if not got:
            return
        *lines, rest = (rest + got).split(b"\n")
        for line in lines:
            try:
                request = json.loads(line)
            except ValueError:
                continue
            answer = json.dumps({"id": request.get("id"), **machine.do(request)}).encode() + b"\n"
            while answer:
                answer = answer[os.write(port, answer):]


if __name__ == "__main__":
    main()
