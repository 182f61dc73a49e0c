# SPDX-License-Identifier: GPL-2.0-only
"""A relay with few descriptors: it serves what they allow, says so, lets the others wait to be accepted, recovers by
itself, and one mapping cannot starve another."""
import socket
import time

import harness  # noqa: F401
from netlab import topology
from netlab.case import check, check_in, main, note
from netlab.process import descriptor_count, wait_until
from netlab.sockets import EchoTarget, echoes, read_exactly, reset

LIMIT = 400
GREEDY, MODEST = 8001, 8002
ECHO = 7200


def set_up(lab):
    lab.relay = lab.make_relay()
    plain_words = lab.relay.words
    lab.relay.words = lambda *extra: ["prlimit", f"--nofile={LIMIT}:{LIMIT}", *plain_words(*extra)]
    lab.relay.start()
    lab.add_agent("home")
    EchoTarget(lab, ECHO)
    for port in (GREEDY, MODEST):
        lab.relay.ctl.text("map", port, f"home:{ECHO}")
    lab.most = status(lab)["limits"]["flows"]["max"]
    note(f"{LIMIT} descriptors are enough for {lab.most} visitors")
    check(60 <= lab.most <= 150, f"{lab.most} visitors")


def status(lab):
    return lab.relay.ctl.json("status")


def served(visitor, seconds=0.0):
    """Whether its echo is there: it is still connected and has been accepted."""
    visitor.settimeout(max(seconds, 0.001))
    try:
        return visitor.recv(1) == b"x"
    except (TimeoutError, ConnectionResetError, BlockingIOError):
        return False


def come(lab, port, count):
    """Visitors that have said something and stay; those that were reset at once are left out."""
    made = []
    for _ in range(count):
        try:
            visitor = lab.net.visitor.connect(topology.RELAY4, port)
            visitor.sendall(b"x")
            made.append(visitor)
        except OSError:
            pass
    return made


def leave(lab, visitors):
    for visitor in visitors:
        reset(visitor)
    wait_until(lambda: not lab.relay.ctl.flows(), 10, "all flows are over")


def below_the_limit(lab):
    used = descriptor_count(lab.relay.relay_pid())
    check(used <= LIMIT - 5, f"{used} of {LIMIT} descriptors")
    return used


def one_mapping_does_not_starve_another(lab):
    crowd = come(lab, GREEDY, 250)
    wait_until(lambda: len(lab.relay.ctl.flows()) >= lab.most * 3 // 4 - 1, 5, "the crowd is in")
    time.sleep(0.5)
    flows = lab.relay.ctl.flows()
    check(len(flows) <= lab.most * 3 // 4 + 1, f"{len(flows)} flows of one mapping, of {lab.most}")
    for _ in range(20):
        check(echoes(lab, topology.RELAY4, MODEST), "a visitor of the other mapping is served")
    guests = come(lab, MODEST, 15)
    check(all(served(guest, 2) for guest in guests), "so are many at once")
    check(any("short of descriptors" in one["detail"] for one in lab.relay.ctl.recent()), "the reason is told")
    note(f"{len(flows)} flows of the greedy mapping, {below_the_limit(lab)} descriptors of {LIMIT}")
    leave(lab, crowd + guests)
    check(echoes(lab, topology.RELAY4, GREEDY), "it recovers by itself")


def the_only_mapping_takes_all_and_the_others_wait(lab):
    lab.relay.ctl.text("unmap", MODEST)
    time.sleep(1.5)  # the plan is made anew every second, from the listeners there are
    lab.most = status(lab)["limits"]["flows"]["max"]
    crowd = come(lab, GREEDY, lab.most + 40)  # fewer than may be strangers at once when all their channels come
    wait_until(lambda: len(lab.relay.ctl.flows()) >= lab.most, 10, "all seats are taken")
    time.sleep(0.5)
    check(len(lab.relay.ctl.flows()) <= lab.most + 2, f"{len(lab.relay.ctl.flows())} flows of at most {lab.most}")
    shortage = status(lab)["shortage"]
    check_in("raise LimitNOFILE", shortage, "status")
    check_in(shortage, lab.relay.process.log(), "the log")
    check(any(shortage == one["what"] for one in lab.relay.ctl.json("events")["events"]), "events tell it")
    check(status(lab)["pool"]["ready"] == 0, f"the pool gave way: {status(lab)['pool']}")
    note(f"{lab.most} of {len(crowd)} visitors are served with {below_the_limit(lab)} descriptors of {LIMIT}")
    waiting = [visitor for visitor in crowd if not served(visitor)]
    check(len(waiting) >= 35, f"{len(waiting)} wait")
    check(all(not gone(visitor) for visitor in waiting), "who waits is not turned away")
    for visitor in set(crowd) - set(waiting):
        reset(visitor)
    check(all(served(visitor, 5) for visitor in waiting), "those who waited are served when others leave")
    wait_until(lambda: not status(lab)["shortage"], 5, "the shortage is over")
    leave(lab, waiting)
    check(any("as they come again" in one["what"] for one in lab.relay.ctl.json("events")["events"]), "events tell it")
    check(lab.relay.process.log().count("descriptors are used up") == 1, "it is said once a minute")


def gone(visitor):
    visitor.setblocking(False)
    try:
        return visitor.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def nothing_is_lost(lab):
    """After the crowds: as many are served as before."""
    crowd = come(lab, GREEDY, lab.most - 2)
    check(all(read_exactly(visitor, 1) == b"x" for visitor in crowd), "every seat is there again")
    leave(lab, crowd)


main(set_up, one_mapping_does_not_starve_another, the_only_mapping_takes_all_and_the_others_wait, nothing_is_lost,
     needs=("prlimit",))
