# SPDX-License-Identifier: GPL-2.0-only
"""Exactness over every path of tier user: a receiver gets the sender's bytes, or a prefix and an error.

  leg plain, tls  x  visitor IPv4, IPv6  x  agent-relay IPv4, IPv6  x  target IPv4, IPv6      16 paths
"""
import os
import sys
import time

import harness
from netlab import streams, topology
from netlab.case import check, main, scale, scaled
from netlab.daemons import line_with_addresses
from netlab.process import Process

TARGETS = {"127.0.0.1": "127.0.0.1:7100", "::1": "[::1]:7100"}
TUNNELS = {"four": f"{topology.TUNNEL4}:7707", "six": f"[{topology.TUNNEL6}]:7707"}


def set_up(lab):
    lab.start_relay(public=(topology.TUNNEL4, topology.TUNNEL6))
    lab.paths = []
    port = 8100
    for name, tunnel in TUNNELS.items():
        agent = lab.make_agent(name)
        agent.join(line_with_addresses(lab.relay.join_line(name), [tunnel]))
        for leg in ("plain", "tls"):
            for target in TARGETS.values():
                port += 1
                lab.relay.ctl.text("map", port, f"{name}:{target}", "--leg", leg)
                lab.paths += [f"{topology.RELAY4}:{port}", f"[{topology.RELAY6}]:{port}"]
    addresses = {agent["name"]: agent["address"] for agent in lab.relay.ctl.json("agents")["agents"]}
    check(addresses == {"four": topology.AGENT4, "six": topology.AGENT6}, f"agents came from {addresses}")


def expect_violation(lab):
    """The suite is worth nothing if it does not go red on a relay that turns every end into FIN."""
    relay = lab.track(Process("naive-relay", lab.net.agent, [sys.executable, os.path.join(
        harness.HERE, "naive_relay.py"), 7801, 7802], lab.path("naive.log")))
    relay.wait_log("ready")
    began = time.monotonic()
    run = streams.Streams(lab, "naive", ["127.0.0.1:7801"], ["127.0.0.1:7802"], streams=5000, stop_on_violation=True,
                          connect_ns=lab.net.agent.path)
    result = run.finish(10, expect=streams.VIOLATION_EXIT_CODE)
    took = time.monotonic() - began
    check(result["violations"] >= 1 and took < 1.0, f"{result['violations']} violations after {took:.2f} s")
    relay.stop()


def small_streams(lab):
    """Many, small and odd: resets, half-closes, pauses, slow readers, tiny writes."""
    result = streams.run(lab, "small", lab.paths, list(TARGETS.values()), 110, streams=scaled(4800, 128), concurrency=96,
                         size=min(256 * 1024, scaled(256 * 1024, 64 * 1024)))
    check(result["exact"] > result["connections"], f"hardly anything ended in order: {result}")
    check(result["broken"] > result["connections"] * 0.05, f"the resets are missing: {result}")


def large_streams(lab):
    count, size = scaled(320, 32), (1 << 30) if scale() > 1 else scaled(32 << 20, 1 << 20)
    result = streams.run(lab, "large", lab.paths, list(TARGETS.values()), 110, streams=count, concurrency=24, size=size,
                         resets=10)
    check(result["bytes"] > min(count * size // 100, 100 << 20), f"too little moved: {result}")


def bulk(lab):
    """What people do: downloads and uploads that never pause, both directions at once, saturated ping-pong."""
    for kind, size, count in (("down", 64 << 20, 8), ("up", 64 << 20, 8), ("both", 32 << 20, 8), ("pingpong", 1 << 17, 32)):
        result = streams.run(lab, kind, lab.paths[::3], list(TARGETS.values()), 60, kind=kind,
                             size=min(size, scaled(size, 1 << 20)), streams=scaled(count, 4), concurrency=8, resets=0)
        check(result["broken"] == 0, f"{kind}: something broke: {result}")


def nothing_left(lab):
    """Every flow is over, and the relay says how they ended."""
    time.sleep(0.5)
    check(lab.relay.ctl.flows() == [], f"flows are left: {lab.relay.ctl.flows()}")


main(set_up, expect_violation, small_streams, large_streams, bulk, nothing_left)
