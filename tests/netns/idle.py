# SPDX-License-Identifier: GPL-2.0-only
"""What flows cost that only wait: 1,000 of them, each with one echo behind it, on leg plain and on leg tls."""
import contextlib

import harness  # noqa: F401
from netlab import topology
from netlab.case import check, main, note, scaled
from netlab.process import status_field, wait_until
from netlab.sockets import EchoTarget, read_exactly

FLOWS = min(1000, scaled(1000, 100))
# An OpenSSL connection is 16 kB, whoever waits on it.
AGENT_BUDGET = {"plain": 16 << 20, "tls": 32 << 20}
MIB = 1 << 20


def rss_bytes(pid):
    return int(status_field(pid, "VmRSS").split()[0]) * 1024


def start(lab):
    lab.start_relay()
    lab.add_agent("home")
    EchoTarget(lab, 7400)


def kept_alive(lab):
    """The agent's connections to the tunnel port and to the target that wait for their keepalive timer."""
    lines = lab.net.agent.run("ss", "-Hont", "state", "established", "( dport = :7707 or dport = :7400 )")
    return lines.count("timer:(keepalive")


def idle_flows(lab, port, leg):
    """The agent is measured as a process that has served nothing before: it is started anew."""
    agent, relay = lab.agents["home"], lab.relay.relay_pid()
    agent.stop()
    agent.start()
    lab.relay.ctl.text("map", port, "home:7400", "--leg", leg)
    before = rss_bytes(agent.process.pid), rss_bytes(relay)
    with contextlib.ExitStack() as visitors:
        for index in range(FLOWS):
            visitor = visitors.enter_context(lab.net.visitor.connect(topology.RELAY4, port))
            text = f"visitor {index}".encode()
            visitor.sendall(text)
            check(read_exactly(visitor, len(text)) == text, f"the echo of visitor {index}")
        check(len(lab.relay.ctl.flows()) == FLOWS, "all flows stand")
        wait_until(lambda: kept_alive(lab) >= 2 * FLOWS, 5, "channels and targets have keepalive")
        after = rss_bytes(agent.process.pid), rss_bytes(relay)
        grown = [(late - early) // FLOWS for early, late in zip(before, after)]
        note(f"leg {leg}: {FLOWS} idle flows; agent {before[0] / MIB:.1f} -> {after[0] / MIB:.1f} MiB, {grown[0]} bytes a "
             f"flow; relay {before[1] / MIB:.1f} -> {after[1] / MIB:.1f} MiB, {grown[1]} bytes a flow")
        budget = AGENT_BUDGET[leg]
        check(after[0] <= budget, f"nfagent holds {after[0]} bytes with {FLOWS} idle flows, {budget} are its budget")
    wait_until(lambda: not lab.relay.ctl.flows(), 10, "all flows have ended")


def plain(lab):
    idle_flows(lab, 8401, "plain")


def tls(lab):
    idle_flows(lab, 8402, "tls")


main(start, plain, tls)
