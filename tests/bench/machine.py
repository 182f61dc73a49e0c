# SPDX-License-Identifier: GPL-2.0-only
"""What was measured on, and the processor time of the whole machine: kernel work is in no process's account."""
import os
import platform
import subprocess
import time

_TICKS = os.sysconf("SC_CLK_TCK")
_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def _stat():
    with open("/proc/stat") as file:
        words = file.readline().split()[1:9]
    return dict(zip(_FIELDS, map(int, words)))


class Cpu:
    """Seconds of processor time, all cores together, from here to stop()."""

    def __init__(self):
        self._before = _stat()

    def stop(self):
        after = _stat()
        used = {field: (after[field] - self._before[field]) / _TICKS for field in _FIELDS}
        return {"busy": sum(used[field] for field in ("user", "nice", "system", "irq", "softirq")),
                "steal": used["steal"]}


def idle_noise(seconds=1.0):
    """Share of the machine that is busy while nothing is measured."""
    cpu = Cpu()
    time.sleep(seconds)
    return cpu.stop()["busy"] / seconds / os.cpu_count()


def _first(path, label):
    with open(path) as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith(label)), "unknown")


def _git(*words):
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run(["git", "-C", here, *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def facts():
    return {"cpu": _first("/proc/cpuinfo", "model name"), "cores": os.cpu_count(),
            "memory": _first("/proc/meminfo", "MemTotal"), "kernel": platform.release(),
            "commit": _git("rev-parse", "--short=12", "HEAD") or "unknown",
            "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
