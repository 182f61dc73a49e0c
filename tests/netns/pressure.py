# SPDX-License-Identifier: GPL-2.0-only
"""Back-pressure: receivers that never read cost little, and the others hardly notice.

500 flows whose receiver never reads, while the sender pushes until its own kernel says stop. Limits: 4 MiB of user
memory a flow in relay and in agent, 2.5 GiB of MemAvailable for all of it, 80% of their rate for other flows.

One kernel plays all four machines here, with one limit for TCP memory (net.ipv4.tcp_mem: at 1.5 GiB of 23 it begins to
starve every socket). So the ends that are not ours keep their own buffers small; those of relay and agent are the
kernel's choice.
"""
import select
import socket
import statistics

import harness  # noqa: F401
from netlab import streams, topology
from netlab.case import check, main, note, scaled
from netlab.process import mem_available_kib, private_kib, wait_until
from netlab.sockets import Target, echoes, EchoTarget, reset

STUCK_COUNT = min(500, scaled(500, 40))
FOREIGN_BUFFER = 64 * 1024
USER_KIB_MAX = 4 * 1024
AVAILABLE_KIB_MAX = int(2.5 * 1024 * 1024)
RATE_SHARE_MIN = 0.8
PAIRS = scaled(7, 2)
PORTS = {"plain": 8101, "tls": 8102}


def set_up(lab):
    lab.start_relay()
    lab.agent = lab.add_agent("home")
    lab.target = Target(lab, 7000, backlog=1024)
    EchoTarget(lab, 7300)
    lab.relay.ctl.text("map", 8110, "home:7300")
    for leg, port in PORTS.items():
        lab.relay.ctl.text("map", port, "home:7000", "--leg", leg)
        lab.target.accept().close()
        lab.relay.ctl.text("map", port + 10, "home:7100", "--leg", leg)
    rate(lab, "warm-up")  # buffers of the loops and of malloc are there before anything is measured


def rate(lab, name):
    """MiB/s of four downloads over both legs for a second."""
    connect = [f"{topology.RELAY4}:{port + 10}" for port in PORTS.values()]
    result = streams.run(lab, name, connect, ["127.0.0.1:7100"], 60, kind="down", size=8 << 20, seconds=1, concurrency=4,
                         resets=0)
    check(result["broken"] == 0, f"{name}: {result}")
    return result["bytes"] / result["seconds"] / (1 << 20)


def open_stuck(lab, count):
    """Flows that are full to the brim: half push towards the target, half towards the visitor; nobody reads."""
    ends = []
    for index in range(count):
        visitor = lab.net.visitor.connect(topology.RELAY4, list(PORTS.values())[index % 2])
        target = lab.target.accept()
        for end in (visitor, target):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, FOREIGN_BUFFER)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FOREIGN_BUFFER)
        ends.append((visitor, target) if index % 4 < 2 else (target, visitor))
    pushed = push(lab, [sender for sender, _ in ends])
    return ends, pushed


def push(lab, senders):
    """Sends on all until none has taken a byte for a second; returns the bytes taken."""
    block = bytes(1 << 20)
    total = 0
    for sender in senders:
        sender.setblocking(False)
    poller = select.epoll()
    by_number = {sender.fileno(): sender for sender in senders}
    for number in by_number:
        poller.register(number, select.EPOLLOUT)
    while ready := poller.poll(1.0):
        for number, _ in ready:
            try:
                total += by_number[number].send(block)
            except BlockingIOError:
                continue
    poller.close()
    return total


def user_memory(lab):
    return {"relay": private_kib(lab.relay.relay_pid()), "agent": private_kib(lab.agent.process.pid)}


def memory(lab):
    before = user_memory(lab)
    available = mem_available_kib()
    lab.stuck, pushed = open_stuck(lab, STUCK_COUNT)
    flows = len(lab.relay.ctl.flows())
    check(flows == STUCK_COUNT, f"{flows} flows of {STUCK_COUNT}")
    cost = (available - mem_available_kib())
    with open("/proc/net/sockstat") as file:
        note(f"kernel: {next(line.strip() for line in file if line.startswith('TCP:'))} (pages of 4 KiB)")
    note(f"{STUCK_COUNT} stuck flows swallowed {pushed >> 20} MiB and cost {cost >> 10} MiB of MemAvailable")
    check(pushed > STUCK_COUNT * 100_000, "the senders did not fill anything")
    check(cost < AVAILABLE_KIB_MAX, f"{cost >> 10} MiB of MemAvailable")
    for name, kib in user_memory(lab).items():
        each = (kib - before[name]) / STUCK_COUNT
        note(f"{name}: {each:.0f} KiB of user memory a flow ({before[name] >> 10} -> {kib >> 10} MiB)")
        check(each <= USER_KIB_MAX, f"{name}: {each:.0f} KiB of user memory a stuck flow")
    check(echoes(lab, topology.RELAY4, 8110), "another flow works meanwhile")


def close_stuck(lab):
    for pair in lab.stuck:
        for end in pair:
            reset(end)
    wait_until(lambda: not lab.relay.ctl.flows(), 10, "the stuck flows are gone", step=0.1)


def rate_of_others(lab):
    """Interleaved: with the stuck flows and without, in turn; medians of both."""
    with_stuck, without = [], []
    for index in range(PAIRS):
        with_stuck.append(rate(lab, f"with-{index}"))
        close_stuck(lab)
        without.append(rate(lab, f"without-{index}"))
        lab.stuck, _ = open_stuck(lab, STUCK_COUNT)
    share = statistics.median(with_stuck) / statistics.median(without)
    note(f"other flows: {statistics.median(with_stuck):.0f} of {statistics.median(without):.0f} MiB/s, {100 * share:.0f}%")
    check(share >= RATE_SHARE_MIN, f"other flows keep {100 * share:.0f}% of their rate")
    close_stuck(lab)


def memory_comes_back(lab):
    """Private memory after 500 more stuck flows is that after the first ones: nothing is left of them."""
    before = user_memory(lab)
    lab.stuck, _ = open_stuck(lab, STUCK_COUNT)
    close_stuck(lab)
    for name, kib in user_memory(lab).items():
        check(kib < before[name] + 8 * 1024, f"{name}: {before[name]} -> {kib} KiB after the same again")


main(set_up, memory, rate_of_others, memory_comes_back)
