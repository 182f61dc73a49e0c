# SPDX-License-Identifier: GPL-2.0-only
"""How flows end: half-close both ways, FIN as FIN, RST as RST, idle timeout, unmap, revoke; keepalives on channels."""
import re
import socket
import time

import harness  # noqa: F401
from netlab import topology
from netlab.case import check, check_in, main, note
from netlab.sockets import FIN, RST, Target, end_within, read_exactly, read_to_end, refusal, reset
from netlab.process import wait_until

PORTS = {"plain": 8001, "tls": 8002}


def set_up(lab):
    lab.start_relay()
    lab.add_agent("home")
    lab.target = Target(lab, 5000)
    for leg, port in PORTS.items():
        lab.relay.ctl.text("map", port, "home:5000", "--leg", leg)
        lab.target.accept().close()  # map's own probe


def pair(lab, port, address=topology.RELAY4):
    visitor = lab.net.visitor.connect(address, port)
    target = lab.target.accept()
    return visitor, target


def each_leg(lab):
    for leg, port in PORTS.items():
        for address in (topology.RELAY4, topology.RELAY6):
            yield f"leg {leg} from {address}", *pair(lab, port, address)


def half_close(lab):
    """Either end stops sending first; the other direction goes on, for as long as it likes."""
    for what, visitor, target in each_leg(lab):
        for first, second in ((visitor, target), (target, visitor)):
            if first is target:
                visitor, target = pair(lab, PORTS["plain" if "plain" in what else "tls"])
                first, second = target, visitor
            first.sendall(b"request")
            first.shutdown(socket.SHUT_WR)
            check(read_to_end(second) == (b"request", FIN), f"{what}: the request and its FIN")
            time.sleep(0.3)
            answer = bytes(range(256)) * 4000
            second.sendall(answer)
            second.shutdown(socket.SHUT_WR)
            check(read_to_end(first) == (answer, FIN), f"{what}: the answer after the half-close")
            first.close()
            second.close()


def fin_is_fin(lab):
    for what, visitor, target in each_leg(lab):
        visitor.sendall(b"last words")
        visitor.close()
        check(read_to_end(target) == (b"last words", FIN), f"{what}: close of the visitor")
        target.close()
    for what, visitor, target in each_leg(lab):
        target.sendall(b"last words")
        target.close()
        check(read_to_end(visitor) == (b"last words", FIN), f"{what}: close of the target")
        visitor.close()


def rst_is_rst(lab):
    for what, visitor, target in each_leg(lab):
        visitor.sendall(b"half a sent")
        read_exactly(target, 11)
        reset(visitor)
        check(read_to_end(target)[1] == RST, f"{what}: the visitor's RST")
        target.close()
    for what, visitor, target in each_leg(lab):
        target.sendall(b"half a sent")
        read_exactly(visitor, 11)
        reset(target)
        check(read_to_end(visitor)[1] == RST, f"{what}: the target's RST")
        visitor.close()


def rst_behind_fin(lab):
    """The visitor ends its direction in order and breaks the connection later: the target must hear of it."""
    for what, visitor, target in each_leg(lab):
        visitor.sendall(b"request")
        visitor.shutdown(socket.SHUT_WR)
        check(read_to_end(target) == (b"request", FIN), f"{what}: FIN first")
        reset(visitor)
        broken = wait_until(lambda end=target: send_fails(end), 3, f"{what}: the target's sends fail", step=0.05)
        check(broken, what)
        target.close()


def send_fails(connection):
    try:
        connection.send(b"answer")
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def closing_the_listener(lab):
    """A service that stops: running flows go on, new visitors are refused, and it comes back."""
    visitor, target = pair(lab, PORTS["plain"])
    lab.target.close()
    how, after = refusal(lab, topology.RELAY4, PORTS["plain"])
    check(how == RST and after < 0.5, f"a visitor of a stopped service: {how} after {after:.2f} s")
    visitor.sendall(b"still here")
    check(read_exactly(target, 10) == b"still here", "the running flow")
    lab.target = Target(lab, 5000)
    pair(lab, PORTS["plain"])[0].close()


def keepalive_timers(namespace, where):
    """Lines of ss and their timers; None while one shows another, which a byte that is under way has."""
    lines = [line for line in namespace.run("ss", "-Htno", "state", "established", where).splitlines() if line]
    timers = [re.search(r"timer:\(keepalive,(\d+)(sec|ms|min)?", line) for line in lines]
    return (lines, timers) if all(timers) else None


def keepalives(lab):
    """On every channel, from both ends: the agent's NAT must not forget an idle SSH session."""
    pairs = [pair(lab, port) for port in PORTS.values()]
    for namespace, where in ((lab.net.agent, "dport = :7707"), (lab.net.relay, "sport = :7707")):
        lines, timers = wait_until(lambda: keepalive_timers(namespace, where), 5, "every connection has a keepalive timer")
        check(len(lines) >= 3, f"a session and two channels at least: {lines}")
        check(all(t.group(2) != "min" and (t.group(2) == "ms" or int(t.group(1)) <= 60) for t in timers), f"{lines}")
    for connections in pairs:
        for made in connections:
            made.close()


def idle_timeout(lab):
    lab.relay.ctl.text("map", 8003, "home:5000", "--idle", "1s")
    lab.target.accept().close()
    visitor, target = pair(lab, 8003)
    for _ in range(3):  # an active flow does not end
        time.sleep(0.6)
        visitor.sendall(b"x")
        read_exactly(target, 1)
    how, after = end_within(visitor, 4)
    check(how == RST and 0.7 < after < 2.5, f"idle: {how} after {after:.2f} s")
    check(end_within(target, 1)[0] == RST, "idle: the target's end")
    wait_until(lambda: any(e["detail"].startswith("idle") for e in lab.relay.ctl.recent()), 2,
               f"flows --recent says idle: {lab.relay.ctl.recent()[-1:]}")


def unmap(lab):
    """Running flows end by themselves; new visitors find a closed port."""
    lab.relay.ctl.text("map", 8004, "home:5000")
    lab.target.accept().close()
    visitor, target = pair(lab, 8004)
    check_in("8004/tcp is unmapped, 1 flow goes on until it ends", lab.relay.ctl.text("unmap", 8004), "unmap")
    wait_until(lambda: not lab.relay.listening(8004), 2, "the listener is closed")
    try:
        lab.net.visitor.connect(topology.RELAY4, 8004, timeout=2)
        check(False, "a visitor still got in")
    except ConnectionRefusedError:
        pass
    visitor.sendall(b"on and on")
    check(read_exactly(target, 9) == b"on and on", "the running flow after unmap")
    visitor.close()
    check(read_to_end(target) == (b"", FIN), "its end in order")


def moving_pair(lab, port):
    """A flow with bytes under way in both directions: what a cut must not turn into an orderly end."""
    visitor, target = pair(lab, port)
    for end in (visitor, target):
        end.setblocking(False)
        try:
            while end.send(b"z" * 65536):
                pass
        except BlockingIOError:
            pass
    return visitor, target


def cut_now(lab, what, words, port_of_flow, text):
    flows = [moving_pair(lab, port_of_flow) for _ in range(4)]
    began = time.monotonic()
    check_in(text, lab.relay.ctl.text(*words), what)
    for visitor, target in flows:
        for name, end in (("visitor", visitor), ("target", target)):
            how, _ = end_within(end, 2)
            check(how == RST, f"{what}: the {name} sees {how}")
    took = time.monotonic() - began
    note(f"{what}: 4 flows reset after {1000 * took:.0f} ms")
    check(took < 1.0, f"{what} took {took:.2f} s")
    check(lab.relay.ctl.flows() == [], f"{what}: flows left: {lab.relay.ctl.flows()}")


def unmap_now(lab):
    for leg, port in (("plain", 8005), ("tls", 8006)):
        lab.relay.ctl.text("map", port, "home:5000", "--leg", leg)
        lab.target.accept().close()
        cut_now(lab, f"unmap --now, leg {leg}", ("unmap", port, "--now"), port, "4 flows cut")


def revoke(lab):
    """Last: the agent is out afterwards."""
    cut_now(lab, "agent revoke", ("agent", "revoke", "home"), PORTS["plain"], "home is revoked, 4 flows cut")
    how, after = refusal(lab, topology.RELAY4, PORTS["plain"])
    check(how == RST and after < 0.5, f"a visitor of a revoked agent: {how} after {after:.2f} s")
    check_in("agent home is revoked", lab.relay.ctl.text("flows", "--recent"), "flows --recent")
    check(lab.relay.ctl.json("agents")["agents"][0]["state"] == "revoked", "agents says revoked")
    lab.agents["home"].process.wait_log("not connected: agent home was revoked by the relay's operator", 5)


main(set_up, half_close, fin_is_fin, rst_is_rst, rst_behind_fin, closing_the_listener, keepalives, idle_timeout, unmap,
     unmap_now, revoke)
