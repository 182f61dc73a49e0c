# SPDX-License-Identifier: GPL-2.0-only
"""Names: nfagent with a resolv.conf and a hosts file of its own (a mount namespace) and a DNS server beside it."""
import harness  # noqa: F401
from netlab import topology
from netlab.case import check, check_in, main
from netlab.daemons import line_with_addresses
from netlab.names import NameServer
from netlab.process import Process, status_field, wait_until
from netlab.sockets import EchoTarget, echoes

FIRST, SECOND = "127.0.0.2", "127.0.0.3"


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def mounted(lab, words):
    """`words` where /etc/resolv.conf and /etc/hosts are this test's files."""
    script = f'mount --bind {lab.resolv} /etc/resolv.conf && mount --bind {lab.hosts} /etc/hosts && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, "sh", *words]


def answered_by(lab, port):
    """Which of the two targets a visitor reaches; None where it is refused."""
    before = [len(target.connections) for target in lab.targets]
    if not echoes(lab, topology.RELAY4, port):
        return None
    grown = [len(target.connections) - count for target, count in zip(lab.targets, before)]
    return (FIRST, SECOND)[grown.index(1)] if sum(grown) == 1 else grown


def moves_to(lab, port, place, what):
    """A channel that stands ready was opened to the old place and is replaced after pool_age_ms."""
    wait_until(lambda: answered_by(lab, port) == place, 5, what, step=0.1)


class CountedEcho(EchoTarget):
    def __init__(self, lab, port, address):
        self.connections = []
        super().__init__(lab, port, address)

    def accept(self):
        made = super().accept()
        self.connections.append(1)
        return made


def relay_by_name(lab):
    """The relay's own name, out of DNS, and a target's, out of the hosts file that stands before DNS."""
    lab.start_relay(extra="pool_age_ms = 1000\n")
    lab.resolv, lab.hosts = lab.path("resolv.conf"), lab.path("hosts")
    write(lab.resolv, f"nameserver {topology.AGENT4}\noptions timeout:1\n")
    write(lab.hosts, f"{FIRST} printer.lan\n")
    lab.server = NameServer(lab, lab.net.agent, topology.AGENT4,
                            {"relay.test": topology.TUNNEL4, "db.test": FIRST, "printer.lan": SECOND, "mute.test": None})
    lab.targets = [CountedEcho(lab, 7300, address) for address in (FIRST, SECOND)]
    agent = lab.make_agent("home")
    line = line_with_addresses(lab.relay.join_line("home"), ["relay.test:7707"])
    agent.process = lab.track(Process("nfagent", lab.net.agent, mounted(lab, agent.words("join", line)), agent.log_path))
    agent.wait_connected()
    lab.agents["home"] = agent
    lab.relay.ctl.text("map", 8301, "home:printer.lan:7300")
    check(answered_by(lab, 8301) == FIRST, "the hosts file stands before DNS")
    check("printer.lan" not in lab.server.asked, "a name of the hosts file is asked of nobody")
    check(int(status_field(agent.process.pid, "Threads")) == 1, "one thread")


def address_changes(lab):
    lab.relay.ctl.text("map", 8302, "home:db.test:7300")
    check(answered_by(lab, 8302) == FIRST, "the first address")
    lab.server.names["db.test"] = SECOND
    moves_to(lab, 8302, SECOND, "the second address serves visitors")


def hosts_file_changes(lab):
    write(lab.hosts, f"{SECOND} printer.lan\n")
    moves_to(lab, 8301, SECOND, "a changed hosts file counts")
    write(lab.hosts, f"{FIRST} printer.lan\n")


def servers_change(lab):
    other = NameServer(lab, lab.net.agent, SECOND, {"db.test": FIRST})
    write(lab.resolv, f"nameserver {SECOND}\n")
    moves_to(lab, 8302, FIRST, "a changed resolv.conf counts")
    check("db.test" in other.asked, "the new server was asked")
    write(lab.resolv, f"nameserver {topology.AGENT4}\n")


def unknown_and_mute(lab):
    error = lab.relay.ctl.run("map", 8303, "home:nothing.test:7300")
    check_in("name", error.stdout + error.stderr, "a mapping to a name nobody knows")
    lab.relay.ctl.run("map", 8304, "home:mute.test:7300")
    check(answered_by(lab, 8304) is None, "a mute server ends in a refusal")
    check(echoes(lab, topology.RELAY4, 8302), "and harms no other name")
    check(lab.agents["home"].process.alive(), "the agent lives")


main(relay_by_name, address_changes, hosts_file_changes, servers_change, unknown_and_mute)
