# SPDX-License-Identifier: GPL-2.0-only
"""Channels that stand ready: visitors find them, they grow with a burst, age, end with their session, and one that is
broken costs its visitor nothing."""
import json
import subprocess
import threading
import time

import harness  # noqa: F401
from netlab import topology
from netlab.case import check, main, note, scaled
from netlab.daemons import binary
from netlab.process import wait_until
from netlab.sockets import EchoTarget, Target, echoes, read_exactly

ECHO = 7200
PORTS = {"plain": 8001, "tls": 8002}
BURST_PORT = 8003
AGE_MS = 4000
BURST = 40
MANY = min(800, scaled(800, 300))
FRESH = 1.1  # seconds for which a channel counts as one that was asked for now


def set_up(lab):
    lab.start_relay(extra=f"pool_age_ms = {AGE_MS}\n")
    lab.agent = lab.add_agent("home")
    EchoTarget(lab, ECHO)
    for leg, port in PORTS.items():
        lab.relay.ctl.text("map", port, f"home:{ECHO}", "--leg", leg)


def pool(lab):
    return lab.relay.ctl.json("status")["pool"]


def wait_ready(lab, count, seconds=5):
    return wait_until(lambda: pool(lab)["ready"] == count and pool(lab), seconds, f"{count} channels ready")


def visit(lab, port, seconds=3):
    time.sleep(0.12)  # visitors that come faster want more than one channel
    began = time.monotonic()
    check(echoes(lab, topology.RELAY4, port, seconds=seconds), f"no echo on port {port}")
    return time.monotonic() - began


def tunnel_sockets(lab):
    """The agent's connections to the tunnel port, by their own ports."""
    lines = lab.net.agent.run("ss", "-Htn", "state", "established", "dport", "=", ":7707").splitlines()
    return {int(line.split()[2].rsplit(":", 1)[1]) for line in lines}


def channels(lab):
    """All of these but the session, which is the one that was there before any visitor."""
    return tunnel_sockets(lab) - {lab.session}


def nothing_without_visitors(lab):
    time.sleep(0.5)
    (lab.session,) = tunnel_sockets(lab)
    counts = pool(lab)
    check(counts["ready"] == counts["asked"] == counts["wanted"] == 0, f"before any visitor: {counts}")


def the_second_visitor_finds_one(lab):
    for number, (leg, port) in enumerate(PORTS.items(), 1):
        before = pool(lab)
        visit(lab, port)
        wait_ready(lab, number)
        counts = pool(lab)
        check((counts["hits"], counts["misses"]) == (before["hits"], before["misses"] + 1), f"leg {leg}: {counts}")
        for _ in range(5):
            visit(lab, port)
            wait_ready(lab, number)
        hits = pool(lab)["hits"] - before["hits"]
        check(hits == 5, f"leg {leg}: {hits} of 5 visitors found a channel ready")
    check(len(channels(lab)) == 2, f"one channel a port that had visitors: {channels(lab)}")
    agents = lab.relay.ctl.json("agents")["agents"]
    check(agents[0]["ready_channels"] == 2, f"agents: {agents}")


def visitors_at_once(lab, port, count):
    """Opens so many at one moment; each has had its answer when they are returned."""
    made = [None] * count

    def one(index):
        made[index] = lab.net.visitor.connect(topology.RELAY4, port)
        made[index].sendall(b"x")
        read_exactly(made[index], 1)
    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    check(all(made), "every visitor of the burst is served")
    return made


def close_all(visitors):
    for visitor in visitors:
        visitor.close()


def grows_with_a_burst(lab):
    lab.relay.ctl.text("map", BURST_PORT, f"home:{ECHO}")
    close_all(visitors_at_once(lab, BURST_PORT, BURST))
    wanted = pool(lab)["wanted"]
    check(wanted > 8, f"{wanted} wanted after {BURST} visitors at once")
    wait_until(lambda: pool(lab)["ready"] >= 8, 5, "the pool has grown")
    before = pool(lab)
    close_all(visitors_at_once(lab, BURST_PORT, 8))
    counts = pool(lab)
    check(counts["hits"] - before["hits"] == 8, f"{counts['hits'] - before['hits']} of 8 found one: {counts}")
    note(f"after {BURST} visitors at once {wanted} channels were wanted")


def ages(lab):
    first, before = channels(lab), pool(lab)["ready"]
    # The burst is forgotten at half a rate in 8 s; what is too old is replaced, what is too much is not.
    wait_until(lambda: not first & channels(lab), 3 * AGE_MS / 1000, "no channel outlives its age")
    counts = wait_until(lambda: pool(lab)["ready"] <= before - 4 and pool(lab), 20, "the pool shrinks")
    check(counts["aged"] >= 8, f"aged: {counts}")
    check("channel:" not in lab.agent.process.log(), "the agent does not complain of channels that waited for nothing")
    for port in PORTS.values():
        before = pool(lab)["hits"]
        visit(lab, port)
        check(pool(lab)["hits"] == before + 1, "a channel that was replaced is as good")


def reset_on_the_way(lab):
    """A box in between resets the channels that stand ready; the relay may or may not have noticed."""
    for turn in range(6):
        for port in PORTS.values():
            wait_until(lambda: len(channels(lab)) >= 3, 5, "channels are ready")
            for number in channels(lab):
                lab.net.relay.run("ss", "-K", "dport", "=", f":{number}")
            if turn % 2 == 1:
                time.sleep(0.15)
            visit(lab, port)
    counts = pool(lab)
    check(counts["died"] >= 6, f"died: {counts}")
    check(not [one for one in lab.relay.ctl.recent() if one["verdict"] == "refused"], "no visitor was refused")


def silent_on_the_way(lab):
    """A NAT forgets the channels that stand ready: nothing is answered on them any more."""
    wait_until(lambda: len(channels(lab)) >= 3, 5, "channels are ready")
    time.sleep(FRESH)
    numbers = ", ".join(map(str, channels(lab)))
    rules = ("add table inet forget\nadd chain inet forget in { type filter hook input priority 0; }\n"
             f"add rule inet forget in tcp dport {{ {numbers} }} drop\n")
    lab.net.agent.run("nft", "-f", "-", text=rules)
    before = pool(lab)["died"]
    for leg, port in PORTS.items():
        took = visit(lab, port, seconds=8)
        note(f"leg {leg}: a visitor whose channel was forgotten waited {took:.1f} s")
    check(pool(lab)["died"] > before, "no visitor met a forgotten channel")
    lab.net.agent.run("nft", "delete", "table", "inet", "forget")
    visit(lab, PORTS["plain"])


def agent_killed(lab):
    for port in PORTS.values():
        visit(lab, port)
    wait_until(lambda: len(channels(lab)) >= 2, 5, "channels are ready")
    time.sleep(FRESH)  # a younger one takes the visitor's first bytes along, and cannot be replaced then
    lab.agent.kill()
    visitors = [lab.net.visitor.connect(topology.RELAY4, port) for port in PORTS.values()]
    for visitor in visitors:
        visitor.sendall(b"x")
    time.sleep(0.3)
    lab.agent.start(wait=False)
    for visitor in visitors:
        check(read_exactly(visitor, 1) == b"x", "a visitor right after the agent's death is served by its successor")
    close_all(visitors)
    wait_until(lambda: pool(lab)["ready"] >= 2, 5, "channels of the new session are ready")
    check(pool(lab)["ready"] == len(tunnel_sockets(lab)) - 1, "none is left of the old session")


def relay_killed(lab):
    lab.relay.kill_relay_process()
    for port in PORTS.values():
        wait_until(lambda: echoes(lab, topology.RELAY4, port), 5, "visitors are served again")
    wait_until(lambda: pool(lab)["ready"] == 2, 5, "channels are ready again")
    check(len(tunnel_sockets(lab)) == 3, f"none is left of the old relay: {tunnel_sockets(lab)}")


def a_mapping_that_goes_takes_its_channels(lab):
    target = Target(lab, 7300)
    lab.relay.ctl.text("unmap", PORTS["plain"])
    wait_ready(lab, 1)
    lab.relay.ctl.text("map", PORTS["plain"], "home:7300")
    target.accept().close()
    visitor = lab.net.visitor.connect(topology.RELAY4, PORTS["plain"])
    server = target.accept()
    server.sendall(b"other")
    check(read_exactly(visitor, 5) == b"other", "the new target answers")


def many_over_tls_at_once(lab):
    """More than the relay takes handshakes at once: they wait their turn, and nobody is forgotten."""
    words = [*lab.net.visitor.enter_words(), binary("nf-load"), "connect", f"{topology.RELAY4}:{PORTS['tls']}", str(MANY),
             "4000"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    check(done.returncode == 0, f"nf-load: {done.stderr}")
    result = json.loads(done.stdout)
    check(result["failed"] == 0 and result["connections"] > MANY, f"visitors of leg tls, {MANY} at once: {result}")
    check(result["oldest_waiting_ms"] < 3000, f"one has waited {result['oldest_waiting_ms']} ms, of 4000")
    note(f"{MANY} visitors of leg tls at once: {result['connections']} answers in 4 s, p99 {result['first_byte_p99_us'] / 1000:.0f} ms")


def off(lab):
    lab.relay.stop()
    with open(lab.relay.config, "a") as file:
        file.write("[limits]\npool_count_max = 0\n")
    lab.relay.start()
    for _ in range(3):
        wait_until(lambda: echoes(lab, topology.RELAY4, PORTS["tls"]), 5, "visitors are served")
    time.sleep(0.3)
    counts = pool(lab)
    check(counts["hits"] == counts["misses"] == counts["ready"] == counts["max"] == 0, f"switched off: {counts}")
    check(len(tunnel_sockets(lab)) == 1, "the session alone")


main(set_up, nothing_without_visitors, the_second_visitor_finds_one, grows_with_a_burst, ages, reset_on_the_way,
     silent_on_the_way, agent_killed, relay_killed, a_mapping_that_goes_takes_its_channels,
     many_over_tls_at_once, off, needs=("nft",))
