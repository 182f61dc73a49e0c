# SPDX-License-Identifier: GPL-2.0-only
"""Strangers on the tunnel port: 5,000 silent or dribbling at once from 256 addresses, garbage, broken TLS, replays."""
import os
import select
import socket
import statistics
import threading
import time

import harness  # noqa: F401
from netlab import topology
from netlab.case import check, main, note, scaled
from netlab.daemons import line_with_addresses
from netlab.process import descriptor_count, private_kib, wait_until
from netlab.sockets import FIN, RST, EchoTarget, echoes, end_within

STRANGERS = min(5000, scaled(5000, 300))
SOURCES = min(256, scaled(256, 32))
LOGINS = scaled(7, 5)
EXTRA_MS_MAX = 100.0
HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(32))  # the first bytes of an honest ClientHello


def set_up(lab):
    lab.start_relay()
    lab.agent = lab.add_agent("home")
    EchoTarget(lab, 7200)
    lab.relay.ctl.text("map", 8103, "home:7200")
    lab.sources = lab.net.add_visitor_addresses(SOURCES)


def logins(lab):
    times = []
    for _ in range(LOGINS):
        lab.agent.restart(pause=0)
        lab.agent.wait_connected(10)
        times.append(lab.agent.login_ms())
    return times


class Crowd:
    """Keeps STRANGERS connections open, each of which is replaced when the relay ends it; a third dribbles."""

    def __init__(self, lab):
        self.lab = lab
        self.ended = 0
        self.stopping = False
        self.connections = {}
        self.poller = select.epoll()
        self.next_source = 0
        while len(self.connections) < STRANGERS:
            self._add(wait=True)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _add(self, wait=False):
        made = self.lab.net.visitor.socket()
        made.bind((self.lab.sources[self.next_source % SOURCES], 0))
        self.next_source += 1
        made.settimeout(5 if wait else 0)
        made.connect_ex((topology.RELAY4, 7707))
        made.setblocking(False)
        self.connections[made.fileno()] = made
        self.poller.register(made.fileno(), select.EPOLLIN | select.EPOLLRDHUP)

    def _run(self):
        step = 0
        while not self.stopping:
            for number, _ in self.poller.poll(0.02, 256):
                # By hand: a child that has not yet called exec shares the connection and would keep it registered.
                self.poller.unregister(number)
                self.connections.pop(number).close()
                self.ended += 1
                self._add()
            step += 1
            for index, made in enumerate(list(self.connections.values())[:STRANGERS // 3:17]):
                try:
                    made.send(HELLO[(step + index) % 8:][:1] if step % 5 else HELLO[:1])
                except OSError:
                    pass

    def close(self):
        check(self.thread.is_alive(), "the crowd has dispersed by itself")
        self.stopping = True
        self.thread.join()
        for made in self.connections.values():
            made.close()


def crowd(lab):
    before = logins(lab)
    memory = private_kib(lab.relay.relay_pid())
    descriptors = descriptor_count(lab.relay.relay_pid())
    crowd_of = Crowd(lab)
    time.sleep(0.5)
    among = descriptor_count(lab.relay.relay_pid())
    during = logins(lab)
    check(echoes(lab, topology.RELAY4, 8103), "a visitor is served among the strangers")
    crowd_of.close()
    extra = statistics.median(during) - statistics.median(before)
    note(f"login alone {statistics.median(before):.0f} ms, among {among - descriptors} strangers "
         f"{statistics.median(during):.0f} ms (worst {max(during):.0f}); {crowd_of.ended} were ended")
    check(among - descriptors > STRANGERS * 0.9, f"only {among - descriptors} strangers were held")
    check(extra <= EXTRA_MS_MAX, f"logins take {extra:.0f} ms longer")
    wait_until(lambda: descriptor_count(lab.relay.relay_pid()) <= descriptors + 1, 8, "descriptors are back")
    after = private_kib(lab.relay.relay_pid())
    note(f"relay's private memory {memory} -> {after} KiB")
    check(after < memory + 16 * 1024, f"memory {memory} -> {after} KiB")


def turned_away(lab, what, data, seconds=7.0, half_close=False):
    """The relay ends such a connection, without a word that is more than a TLS alert."""
    with lab.net.agent.connect(topology.TUNNEL4, 7707) as stranger:
        try:
            stranger.sendall(data)
            if half_close:
                stranger.shutdown(socket.SHUT_WR)
        except OSError:
            return
        how, after = end_within(stranger, seconds)
        check(how in (RST, FIN), f"{what}: still open after {seconds} s")
        check(after < seconds, f"{what}: {after:.1f} s")


def garbage(lab):
    """Every first byte, then what looks like TLS or a preface and is not."""
    pid = lab.relay.relay_pid()
    for byte in range(0, 256, 256 // min(256, scaled(256, 16))):
        if byte not in (0x16, ord("N")):
            turned_away(lab, f"first byte {byte}", bytes([byte]) + os.urandom(16), seconds=1)
    turned_away(lab, "an oversized record", bytes.fromhex("160301ffff01") + os.urandom(70000), seconds=1)
    turned_away(lab, "a hello of the wrong length", bytes.fromhex("160301000501ffffff03"), seconds=1)
    turned_away(lab, "a record of zero bytes", bytes.fromhex("1603010000"), seconds=6)
    for size in (1, 4, 5, 6, 20, len(HELLO)):
        turned_away(lab, f"a hello cut after {size} bytes", HELLO[:size], seconds=1, half_close=True)
    for seed in range(scaled(200, 20)):
        turned_away(lab, f"random hello {seed}", b"\x16\x03\x01\x00\x40" + lab.random.randbytes(64), seconds=1)
    for size in (1, 4, 39):
        turned_away(lab, f"a preface cut after {size} bytes", b"NFP1\x01\x01\0\0".ljust(40, b"\0")[:size], seconds=1,
                    half_close=True)
    for seed in range(scaled(200, 20)):
        turned_away(lab, f"random preface {seed}", b"NFP1\x01\x01\0\0" + lab.random.randbytes(32), seconds=1)
    check(lab.relay.relay_pid() == pid, "the relay process died")


def silence(lab):
    """The deadline holds for those who say nothing and for those who say little."""
    began = time.monotonic()
    crowd_of = [lab.net.agent.connect(topology.TUNNEL4, 7707) for _ in range(4)]
    for sent in (b"", b"N", b"\x16", HELLO):
        crowd_of[len(sent) % 4].sendall(sent)
    for stranger in crowd_of:
        how, _ = end_within(stranger, 7)
        check(how == RST, f"silent: {how}")
        stranger.close()
    check(4 < time.monotonic() - began < 7, f"the deadline came after {time.monotonic() - began:.1f} s")


class Tap:
    """Stands on the path between agent and relay, copies everything, and keeps the preface of each plain channel."""

    def __init__(self, lab, port):
        self.lab = lab
        self.prefaces = []
        self.listener = lab.net.relay.listen(topology.TUNNEL4, port)
        lab.defer(self.listener.close)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                left = self.listener.accept()[0]
            except OSError:
                return
            right = self.lab.net.relay.connect(topology.TUNNEL4, 7707)
            for source, sink, keep in ((left, right, True), (right, left, False)):
                source.settimeout(None)
                threading.Thread(target=self._copy, args=(source, sink, keep), daemon=True).start()

    def _copy(self, source, sink, keep):
        first = b""
        try:
            while data := source.recv(65536):
                if keep and len(first) < 40:
                    first += data
                    if first.startswith(b"NFP1") and len(first) >= 40:
                        self.prefaces.append(first[:40])
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                end.close()


def replay(lab):
    """Whoever copies a preface from the path gains nothing: its number is spent, also while the flow runs."""
    tap = Tap(lab, 7799)
    tapped = lab.make_agent("tapped")
    tapped.join(line_with_addresses(lab.relay.join_line("tapped"), [f"{topology.TUNNEL4}:7799"]))
    lab.relay.ctl.text("map", 8104, "tapped:7200")
    with lab.net.visitor.connect(topology.RELAY4, 8104) as visitor:
        visitor.sendall(b"x")
        check(visitor.recv(1) == b"x", "the tapped flow")
        preface = wait_until(lambda: tap.prefaces[:1], 5, "a preface")[0]
        for where, namespace in (("agent", lab.net.agent), ("relay", lab.net.relay)):
            with namespace.connect(topology.TUNNEL4, 7707) as thief:
                thief.sendall(preface)
                how, after = end_within(thief, 2)
                check(how == RST and after < 1, f"a replayed preface from the {where}: {how}")
        visitor.sendall(b"y")
        check(visitor.recv(1) == b"y", "the flow whose preface was replayed")
    with lab.net.agent.connect(topology.TUNNEL4, 7707) as thief:
        thief.sendall(preface)
        check(end_within(thief, 2)[0] == RST, "a replayed preface after its flow")


main(set_up, crowd, garbage, silence, replay)
