# SPDX-License-Identifier: GPL-2.0-only
"""What happens in the demo, in order. Every command shown is the command that ran; every step is checked."""
import os
import re
import sys

from services import start_mariadb, start_redis
from stage import Trouble

PICTURE = r"""
   visitor                relay                  home router              agent
   198.51.100.7 -------- 203.0.113.5 ----------- 192.0.2.44 | NAT ------- 192.168.1.123
   anybody, with          nfrelayd                                        nfagent, MariaDB, Redis
   mariadb, redis-cli
"""
PROMPT_COLOURS = {"visitor": "36", "relay": "33", "agent": "32"}


def colour(text: str, code: str) -> str:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{code}m{text}\033[0m"


def say(text: str = "") -> None:
    print(text, flush=True)


def heading(text: str) -> None:
    say("\n" + colour(text, "1"))


def typed(machine, command: str) -> None:
    say(f"{colour(machine.name + '$', PROMPT_COLOURS[machine.name])} {command}")


def join_line_short(text: str) -> str:
    """The key inside is 200 characters long; the ends are enough to recognise it."""
    return re.sub(r"(nf1\.\S{6})\S{20,}(\S{6})", r"\1...\2", text)


def step(machine, command: str, expect: str, code: int = 0) -> str:
    """Types a command, shows what came back, and insists on exit code and on a text (a regular expression)."""
    typed(machine, command)
    got, said = machine.run(command)
    if said:
        say(join_line_short(said))
    if code is not None and got != code:
        raise Trouble(f"{machine.name}$ {command}: exit code {got}, expected {code}")
    if not re.search(expect, said):
        raise Trouble(f"{machine.name}$ {command}: expected an answer like '{expect}'")
    return said


def start(stage, machine, command: str, shown: str, until: str):
    """A program that goes on in the background; shown up to the line that holds `until`."""
    typed(machine, shown + " &")
    program = stage.start(machine, command)
    last = program.wait_for(until)
    for line in program.lines[:program.lines.index(last) + 1]:
        say(join_line_short(line))
    return program


def introduce(stage) -> None:
    if stage.in_namespaces:
        say("Netferry demo: three machines and a home router, as network namespaces of this machine.")
        say(PICTURE.rstrip())
    else:
        say("Netferry demo over loopback: visitor, relay and agent are all this machine (127.0.0.1).")
    if stage.missing:
        say(f"\nNote: {stage.missing}")
    if not stage.in_namespaces:
        say("Not shown: separate machines, NAT between relay and agent, the relay's split into a privileged\n"
            "holder and an unprivileged relay process (--single), well-known port numbers.")


def show_the_problem(stage) -> None:
    heading("1. A machine behind NAT has a MariaDB and a Redis. Nobody outside can reach them.")
    say("(starting both; a few seconds)")
    start_mariadb(stage)
    start_redis(stage)
    step(stage.agent, f"redis-cli {port_option(stage.ports['redis'], 6379)}ping", "PONG")
    if stage.in_namespaces:
        step(stage.visitor, f"redis-cli -h {stage.agent.address} ping", "Could not connect", code=1)


def port_option(port: int, usual: int) -> str:
    return "" if port == usual else f"-p {port} "


def join(stage) -> None:
    heading("2. The relay names an agent; the agent joins with the line that was printed.")
    single = "" if stage.in_namespaces else " --single"
    start(stage, stage.relay, f"nfrelayd{single}", f"nfrelayd{single}", "ready")
    said = step(stage.relay, "nfctl agent add client1", r"nf1\.")
    line = re.search(r"nf1\.\S+", said).group()
    start(stage, stage.agent, f"nfagent join {line}", f"nfagent join {join_line_short(line)}", "may be published")
    seen_from = stage.router_address if stage.router_translates else stage.agent.address
    step(stage.relay, "nfctl agent list", rf"client1 .*{re.escape(seen_from)}")


def map_ports(stage) -> None:
    heading("3. Two ports of the relay become two ports of the agent.")
    ports = stage.ports
    step(stage.relay, f"nfctl map {ports['public mariadb']} client1:{ports['mariadb']}", "target answers")
    step(stage.relay, f"nfctl map {ports['public redis']} client1:{ports['redis']}", "target answers")


def visit(stage) -> None:
    heading("4. A visitor uses them with ordinary clients. Nothing of Netferry runs there.")
    host, ports = stage.relay.address, stage.ports
    redis = f"redis-cli -h {host} {port_option(ports['public redis'], 6379)}"
    step(stage.visitor, f"mariadb -h {host} -P {ports['public mariadb']} -u demo -pdemo -t "
                        "-e 'SELECT * FROM shop.orders'", r"Grace")
    step(stage.visitor, f"{redis}set greeting 'hello from {stage.visitor.address}'", "OK")
    step(stage.visitor, f"{redis}get greeting", f"hello from {stage.visitor.address}")
    step(stage.agent, f"redis-cli {port_option(ports['redis'], 6379)}get greeting",
         f"hello from {stage.visitor.address}")


def watch(stage) -> None:
    heading("5. A connection that stays open, seen from the relay.")
    ports = stage.ports
    listen = f"redis-cli -h {stage.relay.address} {port_option(ports['public redis'], 6379)}subscribe news"
    visitor = start(stage, stage.visitor, listen, listen, "subscribe")
    step(stage.relay, "nfctl flows", rf"{re.escape(stage.visitor.address)}:\d+ .*running")
    step(stage.agent, f"redis-cli {port_option(ports['redis'], 6379)}publish news 'it is raining at home'", "1")
    say("(and the visitor's redis-cli prints)")
    say(visitor.wait_for("it is raining at home", 10))
    step(stage.relay, "nfctl maps", "client1")


def explain(stage) -> None:
    heading("What you just saw")
    holder = ("nfrelayd is two processes: a small privileged one that opens ports, and one without any right.\n"
              if stage.in_namespaces else "")
    say("The agent dialled out to the relay's tunnel port; nothing ever connected into its network.\n"
        "They know each other by keys: the join line carried the relay's, and worked once.\n"
        f"{holder}"
        "Each visitor got a channel of its own; closing, resets and slow readers pass through as they are.\n"
        "The agent lets the relay reach its own ports only; 'nfagent allow' opens more of its network.\n"
        "All that ran here is stopped, and its files are removed.")
    heading("For real")
    say("On a server:   sudo make install && sudo systemctl enable --now netferry-relay\n"
        "               sudo nfctl agent add client1\n"
        "Behind NAT:    sudo nfagent join LINE          (the line that was printed)\n"
        "On the server: sudo nfctl map 8888 client1:3306")


def tell(stage) -> None:
    introduce(stage)
    show_the_problem(stage)
    join(stage)
    map_ports(stage)
    visit(stage)
    watch(stage)
