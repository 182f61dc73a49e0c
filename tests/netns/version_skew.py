# SPDX-License-Identifier: GPL-2.0-only
"""Programs of different ages: nf-v1-peer speaks protocol version 1 as it was frozen, agent or relay, to the programs of
this tree; and a version that the other side does not speak is refused with the name of the program to upgrade."""
import json

import harness  # noqa: F401
from netlab import streams, topology
from netlab.case import check, check_in, main, note
from netlab.daemons import binary
from netlab.process import Process, wait_until
from netlab.sockets import FIN, RST, EchoTarget, Target, echoes, end_within, read_to_end, reset

ECHO = 7200
ECHOED_BYTES = 8 << 20


class Peer:
    """One nf-v1-peer and its events."""

    def __init__(self, lab, name, namespace, *words):
        self.process = lab.track(Process(name, namespace, [binary("nf-v1-peer"), *words], lab.path(f"{name}.log")))

    def events(self, kind):
        lines = [json.loads(line) for line in self.process.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["type"] == kind]

    def wait_event(self, kind, seconds=10):
        def seen():
            if not self.events(kind) and not self.process.alive():
                raise AssertionError(f"{self.process.name} ended without {kind}:\n{self.process.log()}")
            return self.events(kind)
        return wait_until(seen, seconds, f"{self.process.name} says {kind}")[-1]


def set_up(lab):
    lab.start_relay()
    EchoTarget(lab, ECHO)


def old_agent(lab, name, *words):
    return Peer(lab, f"v1-{name}", lab.net.agent, "agent", "--join", lab.relay.join_line(name), *words)


def version_1_agent_serves_flows(lab):
    lab.old = old_agent(lab, "old", "--wish", f"auto={ECHO}")
    check(lab.old.wait_event("welcome")["version"] == 1, "welcome of version 1")
    for port, leg in ((8100, "plain"), (8101, "tls")):
        text = lab.relay.ctl.text("map", port, f"old:{ECHO}", "--leg", leg)
        check_in("target answers", text, "map")
        for address in (topology.RELAY4, topology.RELAY6):
            check(echoes(lab, address, port, b"x" * 5000), f"no echo on {address} port {port}")
        seen = lab.old.wait_event("start")
        check(seen["leg"] == leg and seen["public"] == f"[{topology.RELAY6}]:{port}"
              and seen["visitor"].startswith(f"[{topology.VISITOR6}]:"), f"START: {seen}")


def version_1_agent_declares(lab):
    outcome = lab.old.wait_event("declared")["outcomes"][0]
    check(outcome["error"] == "", f"declared: {outcome}")
    port = int(outcome["address"].rsplit(":", 1)[1])
    check(echoes(lab, topology.RELAY4, port), f"no echo on the declared port {port}")


def version_1_agent_ends_streams_as_they_end(lab):
    target = Target(lab, 7201)
    for port, leg in ((8110, "plain"), (8111, "tls")):
        lab.relay.ctl.text("map", port, "old:7201", "--leg", leg)
        target.accept().close()  # the probe of map
        visitor = lab.net.visitor.connect(topology.RELAY4, port)
        visitor.sendall(b"question")
        server = target.accept()
        visitor.shutdown(1)
        check(read_to_end(server) == (b"question", FIN), f"leg {leg}: the target sees the visitor's end")
        server.sendall(b"answer")
        server.close()
        check(read_to_end(visitor) == (b"answer", FIN), f"leg {leg}: half-close")
        visitor = lab.net.visitor.connect(topology.RELAY4, port)
        reset(target.accept())
        check(end_within(visitor, 5)[0] == RST, f"leg {leg}: a reset stays one")


def version_1_agent_carries_streams(lab):
    """Keyed streams, checked byte by byte, over the old agent and both legs."""
    ports = {8120: 7300, 8121: 7301}
    for (port, target), leg in zip(ports.items(), ("plain", "tls")):
        lab.relay.ctl.text("map", port, f"old:{target}", "--leg", leg)
    result = streams.run(lab, "streams", [f"{topology.RELAY4}:{port}" for port in ports],
                         [f"127.0.0.1:{target}" for target in ports.values()], 40, streams=300, concurrency=16,
                         size=256 << 10, resets=0)
    check(result["connections"] == 300 and result["exact"] == 600, f"streams: {result}")


def version_1_agent_is_not_asked_ahead(lab):
    """It would not know that the visitor of such a channel is not there yet."""
    pool = lab.relay.ctl.json("status")["pool"]
    check(pool["max"] > 0, f"the relay has a pool: {pool}")
    check(all(pool[key] == 0 for key in ("ready", "asked", "wanted", "hits", "misses", "failed")), f"pool: {pool}")


def newer_agent_falls_back(lab):
    peer = old_agent(lab, "newer", "--claim", 2, "--oldest", 1)
    check(peer.wait_event("welcome")["version"] == 1, "a session of the version that both speak")
    lab.relay.ctl.text("map", 8130, f"newer:{ECHO}")
    check(echoes(lab, topology.RELAY4, 8130), "no echo through an agent that also speaks version 2")


def strange_agents_are_told_what_to_upgrade(lab):
    for claim, part in ((2, "the agent speaks 2, the relay 1: upgrade nfrelayd on the relay's machine"),
                        (0, "the agent speaks 0, the relay 1: upgrade nfagent on the agent's machine")):
        bye = old_agent(lab, f"claims-{claim}", "--claim", claim).wait_event("bye")
        check(bye["code"] == "version", f"bye: {bye}")
        check_in(part, bye["text"], "what the agent is told")
    check_in("upgrade nfrelayd", lab.relay.process.log(), "what the relay's operator is told")


def old_relay(lab, name, port, *words):
    peer = Peer(lab, name, lab.net.relay, "relay", "--listen", f"{topology.TUNNEL4}:{port}", *words)
    return peer, peer.wait_event("join")["line"]


def version_1_relay_is_served(lab):
    peer, line = old_relay(lab, "v1-relay", 7801, "--target", ECHO, "--bytes", ECHOED_BYTES)
    agent = lab.make_agent("home", config=f"reconnect_min_ms = 100\n[[mapping]]\npublic = 9000\ntarget = {ECHO}\n")
    agent.join(line)
    check(peer.process.wait(30) == 0, f"the relay of version 1 is not content:\n{peer.process.log()}")
    check({e["leg"]: e["bytes"] for e in peer.events("echoed")} == {"plain": ECHOED_BYTES, "tls": ECHOED_BYTES},
          f"echoed: {peer.process.log()}")
    note(f"{ECHOED_BYTES >> 20} MiB there and back over both legs")
    agent.stop()


def strange_relays_name_what_to_upgrade(lab):
    for name, words, part in (
            ("refusing", ["--refuse"], "this relay refuses"),
            ("relay-of-tomorrow", ["--claim", 2],
             "the agent speaks 1, the relay 2: upgrade nfagent on the agent's machine"),
            ("relay-of-yesterday", ["--claim", 0],
             "the agent speaks 1, the relay 0: upgrade nfrelayd on the relay's machine")):
        _, line = old_relay(lab, name, 7802, "--target", ECHO, *words)
        done = lab.make_agent(name).once("join", line)
        check(done.returncode not in (0, -6, -11), f"{name}: exit {done.returncode}")
        check_in(part, done.stdout + done.stderr, f"nfagent at {name}")


main(set_up, version_1_agent_serves_flows, version_1_agent_declares, version_1_agent_ends_streams_as_they_end,
     version_1_agent_carries_streams, version_1_agent_is_not_asked_ahead, newer_agent_falls_back,
     strange_agents_are_told_what_to_upgrade, version_1_relay_is_served, strange_relays_name_what_to_upgrade)
