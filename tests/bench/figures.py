# SPDX-License-Identifier: GPL-2.0-only
"""What is measured: each figure takes a variant and returns {value: number} of one run, all of the whole machine."""
import json
import os
import subprocess
import time

import harness  # noqa: F401
import layouts
from machine import Cpu
from netlab.daemons import binary
from netlab.process import private_kib
from variants import ECHO, IPERF, STREAM

GIB = 1 << 30
IPERF_ATTEMPTS = 4


class Failed(RuntimeError):
    """A run that gave no figure, and why."""


def _run(lab, words, seconds):
    try:
        done = subprocess.run([*lab.net.visitor.enter_words(), *map(str, words)], capture_output=True, text=True,
                              timeout=seconds)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{words[0]}: no end within {seconds} s") from late
    if done.returncode != 0:
        raise Failed(f"{os.path.basename(words[0])} ended with {done.returncode}: {(done.stderr or done.stdout)[-300:]}")
    return json.loads(done.stdout)


def _load(lab, seconds, *words):
    """nf-load's answer, and seconds of processor time of the whole machine."""
    cpu = Cpu()
    out = _run(lab, [binary("nf-load"), *words, round(seconds * 1000)], seconds + 30)
    return out, cpu.stop()["busy"]


class Bulk:
    layout = layouts.WHOLE
    values = {"gbit_s": "Gb/s", "cpu_s_gib": "CPU s/GiB"}
    higher = "gbit_s"
    cost = "cpu_s_gib"

    def __init__(self, streams, download):
        self.streams, self.download = streams, download
        self.direction = "download" if download else "upload"
        self.name = layouts.full(self.layout, f"{self.direction}-{streams}")
        self.what = f"{self.direction}, {streams} stream{'s' if streams > 1 else ''}"

    def run(self, lab, variant, seconds):
        address, port = variant.place(IPERF)
        words = ["iperf3", "-c", address, "-p", port, "-t", max(1, round(seconds)), "-P", self.streams, "--json",
                 "--connect-timeout", 5000] + (["-R"] if self.download else [])
        for _ in range(IPERF_ATTEMPTS):
            cpu = Cpu()
            out = _run(lab, words, seconds + 30)
            used = cpu.stop()
            total = out["end"].get("sum_received")
            if total:
                break
            time.sleep(0.5)  # its server takes one client at a time, and a moment to be rid of the last
        else:
            raise Failed(f"iperf3: {out.get('error', 'no result')}")
        if total["bytes"] <= 0:
            raise Failed("iperf3 received nothing")
        return {"gbit_s": total["bits_per_second"] / 1e9, "cpu_s_gib": used["busy"] / (total["bytes"] / GIB),
                "bytes": total["bytes"]}


class LoadBulk(Bulk):
    """By nf-load, whose server also takes a connection that another process has made."""
    layout = layouts.ALONE

    def run(self, lab, variant, seconds):
        out, _ = _load(lab, seconds, self.direction, variant.endpoint(STREAM), self.streams)
        if out["bytes"] <= 0:
            raise Failed("nothing was received")
        return {"gbit_s": out["gbit_s"], "cpu_s_gib": out["busy_s"] / (out["bytes"] / GIB), "bytes": out["bytes"]}


class PingPong:
    layout = layouts.WHOLE
    values = {"per_s": "transactions/s", "latency_p50_us": "p50 us", "latency_p99_us": "p99 us",
              "cpu_us": "CPU us each"}
    higher = "per_s"
    cost = "cpu_us"

    def __init__(self, connections):
        self.connections = connections
        self.name = layouts.full(self.layout, f"ping-pong-{connections}")
        self.what = f"1 byte there and back, {connections} connection{'s' if connections > 1 else ''}"

    def run(self, lab, variant, seconds):
        out, _ = _load(lab, seconds, "ping-pong", variant.endpoint(ECHO), self.connections)
        if out["transactions"] == 0:
            raise Failed("no transaction")
        # Of the transactions alone: the load also connects and warms up, which is not what is asked here.
        return {"per_s": out["transactions"] / out["seconds"], "latency_p50_us": out["latency_p50_us"],
                "latency_p99_us": out["latency_p99_us"],
                "cpu_us": out["busy_s"] * 1e6 / out["transactions"]}


class AlonePingPong(PingPong):
    layout = layouts.ALONE


class Connect:
    layout = layouts.WHOLE
    name = "connect"
    what = "new connections with a byte there and back, 16 at once"
    values = {"per_s": "connections/s", "first_byte_p50_us": "first byte p50 us", "first_byte_p99_us": "p99 us",
              "cpu_us": "CPU us each"}
    higher = "per_s"
    cost = "cpu_us"
    at_once = 16

    def run(self, lab, variant, seconds):
        out, busy = _load(lab, seconds, "connect", variant.endpoint(ECHO), self.at_once)
        if out["connections"] == 0 or out["failed"] > out["connections"] // 50:
            raise Failed(f"{out['failed']} of {out['failed'] + out['connections']} connections failed")
        return {"per_s": out["connections"] / out["seconds"], "first_byte_p50_us": out["first_byte_p50_us"],
                "first_byte_p99_us": out["first_byte_p99_us"], "cpu_us": busy * 1e6 / out["connections"]}


class FirstByte(Connect):
    name = "first-byte"
    what = "one new connection after the other, time to the first byte"
    at_once = 1


ALL = (Bulk(1, True), Bulk(8, True), Bulk(1, False), Bulk(8, False), PingPong(1), PingPong(64), PingPong(1000), Connect(),
       FirstByte(), LoadBulk(1, True), LoadBulk(8, True), LoadBulk(1, False), LoadBulk(8, False), AlonePingPong(1),
       AlonePingPong(64), AlonePingPong(1000))


def idle_memory(lab, variant, connections):
    """KiB of user memory an idle connection in each process of the variant; once, since it needs no pairs."""
    before = {name: private_kib(pid) for name, pid in variant.processes().items()}
    words = [*lab.net.visitor.enter_words(), binary("nf-load"), "idle", variant.endpoint(ECHO), str(connections)]
    load = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = load.stdout.readline()
        if line != f"open {connections}\n":
            raise Failed(load.stderr.read()[-300:] or f"unexpected {line!r}")
        return {name: (private_kib(pid) - before[name]) / connections for name, pid in variant.processes().items()}
    finally:
        load.stdin.close()
        load.wait(timeout=60)
