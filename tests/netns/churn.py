# SPDX-License-Identifier: GPL-2.0-only
"""100,000 short connections, more than a tenth of them aborted: descriptors, memory and channels are back at their start."""
import time

import harness  # noqa: F401
from netlab import streams, topology
from netlab.case import check, main, note, scaled
from netlab.process import descriptor_count, private_kib, wait_until

COUNT = scaled(100_000, 1000)
WARM_UP = min(6000, scaled(6000, 300))
PORTS = {"plain": 8101, "tls": 8102}
MEMORY_KIB_MAX = 8 * 1024


def set_up(lab):
    lab.start_relay(extra="pool_age_ms = 1000\n")
    lab.agent = lab.add_agent("home")
    for leg, port in PORTS.items():
        lab.relay.ctl.text("map", port, "home:7100", "--leg", leg)
    turn(lab, "warm-up", WARM_UP)


def turn(lab, name, count):
    # Five of six over leg plain: a TLS handshake each makes the others wait for nothing but the processor.
    connect = [f"{topology.RELAY4}:{PORTS['plain']}", f"[{topology.RELAY6}]:{PORTS['plain']}"] * 2
    connect += [f"{topology.RELAY4}:{PORTS['plain']}", f"{topology.RELAY4}:{PORTS['tls']}"]
    return streams.run(lab, name, connect, ["127.0.0.1:7100"], 60 + count / 400, streams=count, concurrency=128,
                       kind="both", size=700, resets=15)


def nothing_stands_ready(lab):
    pool = lab.relay.ctl.json("status")["pool"]
    return pool["wanted"] == pool["ready"] == pool["asked"] == 0


def settled(lab):
    """Descriptors of relay and agent once no channel is left, and none stands ready: ten ages after the last visitor."""
    wait_until(lambda: not lab.relay.ctl.flows(), 5, "no flows")
    wait_until(lambda: nothing_stands_ready(lab), 20, "no ready channels", step=0.1)
    time.sleep(0.3)
    pids = {"relay": lab.relay.relay_pid(), "agent": lab.agent.process.pid, "holder": lab.relay.process.pid}
    channels = lab.net.relay.run("ss", "-Htn", "state", "established", "sport = :7707").strip().splitlines()
    return {name: (descriptor_count(pid), private_kib(pid)) for name, pid in pids.items()}, len(channels)


def churn(lab):
    before, channels_before = settled(lab)
    began = time.monotonic()
    result = turn(lab, "churn", COUNT)
    took = time.monotonic() - began
    after, channels = settled(lab)
    note(f"{COUNT} connections in {took:.0f} s, {COUNT / took:.0f} a second")
    check(result["connections"] == COUNT and result["exact"] < 1.9 * COUNT, f"{result}")
    check(channels == channels_before == 1, f"{channels} connections on the tunnel port, {channels_before} before")
    for name in before:
        note(f"{name}: descriptors {before[name][0]} -> {after[name][0]}, private memory {before[name][1]} -> "
             f"{after[name][1]} KiB")
        check(after[name][0] == before[name][0], f"{name}: descriptors {before[name][0]} -> {after[name][0]}")
        check(after[name][1] <= before[name][1] + MEMORY_KIB_MAX, f"{name}: memory {before[name][1]} -> {after[name][1]}")


main(set_up, churn)
