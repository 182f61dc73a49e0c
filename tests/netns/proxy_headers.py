# SPDX-License-Identifier: GPL-2.0-only
"""`--proxy v1` and `v2`: nginx, haproxy and a strict parser at the target learn who the visitor is and what it dialled.

Over IPv4 and IPv6 on both sides, host names, Unix sockets, ranges, several visitors at once; checks are told apart.
"""
import re
import socket
import threading

import harness  # noqa: F401
from netlab import proxy_targets, topology
from netlab.case import check, check_in, main, note
from netlab.process import Process, wait_until
from netlab.proxy_header import SIGNATURE
from netlab.sockets import FIN, RST, EchoTarget, end_within, read_exactly, read_to_end

VERSIONS = ("v1", "v2")
FAMILIES = {"v4": topology.RELAY4, "v6": topology.RELAY6}
OWN = {"v1": b"PROXY UNKNOWN\r\n", "v2": SIGNATURE + b"\x20\x00\x00\x00"}
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
NAME = "localhost"  # resolved by the agent; needs neither a file nor a server
PUBLIC = 8100
VISITORS = 40


def set_up(lab):
    lab.start_relay()
    lab.agent = lab.add_agent("home")
    lab.servers = {"nginx": proxy_targets.nginx(lab, 8080), "haproxy": proxy_targets.haproxy(lab, 8081)}
    lab.strict = proxy_targets.Strict(lab, 8082)
    for target in (*lab.servers.values(), lab.strict):
        done = lab.agent.once("allow", f"unix:{target.unix_path}")
        check(done.returncode == 0, f"allow: {done.stderr}")
    lab.sources = {"v4": lab.net.add_visitor_addresses(VISITORS), "v6": [f"fd77:1::{100 + n}" for n in range(VISITORS)]}
    for address in lab.sources["v6"]:
        lab.net.visitor.ip("addr", "add", f"{address}/64", "dev", "v0", "nodad")


def places(target):
    """The ways in which an agent may be told to dial one target."""
    return {"v4": f"home:127.0.0.1:{target.port}", "v6": f"home:[::1]:{target.port}", "name": f"home:{NAME}:{target.port}",
            "unix": f"home:unix:{target.unix_path}"}


def remap(lab, version, place, public=PUBLIC, strict=True):
    text = lab.relay.ctl.text("map", public, place, "--proxy", version)
    check("target answers" in text and "leg tls" in text, f"map {place} --proxy {version}: {text}")
    if strict:
        expect_own(lab, version, f"map {place}")


def expect_own(lab, version, what):
    """A connection of the agent's own says that nobody is behind it."""
    seen = lab.strict.take()
    check(seen.header and seen.header.raw == OWN[version] and not seen.payload, f"{what}: {seen}")


def ends_of(visitor):
    """(source, destination) as the visitor's own kernel has them."""
    return visitor.getsockname()[:2], visitor.getpeername()[:2]


def expect_visitor(seen, version, ends, what, sent=b""):
    """`sent` by the visitor: behind the header, in its segment, may only be how that begins."""
    check(seen.header is not None, f"{what}: {seen.problem}")
    got = (seen.header.source, seen.header.destination)
    check(got == ends, f"{what}: the target was told {got}, the visitor is {ends}")
    check(f"v{seen.header.version}" == version and not seen.header.tlvs, f"{what}: {seen.header}")
    check(sent.startswith(seen.payload), f"{what}: {seen.payload!r} came with the header")


def answer_of(visitor):
    """What nginx or haproxy says about the visitor."""
    visitor.sendall(REQUEST)
    head, _, body = read_to_end(visitor)[0].partition(b"\r\n\r\n")
    check_in("200 OK", head.decode(), "answer")
    source, source_port, destination, destination_port = body.decode().split()
    return (source, int(source_port)), (destination, int(destination_port))


def real_servers(lab):
    """Both take all of it: 2 versions, 4 ways to dial, 2 families of visitors."""
    count = 0
    for name, server in lab.servers.items():
        for version in VERSIONS:
            for way, place in places(server).items():
                remap(lab, version, place, strict=False)
                for family, address in FAMILIES.items():
                    with lab.net.visitor.connect(address, PUBLIC) as visitor:
                        told, real = answer_of(visitor), ends_of(visitor)
                    check(told == real, f"{name}, {version}, dialled by {way}, visitor {family}: {told}, it is {real}")
                    count += 1
    note(f"{count} answers of nginx and haproxy name the visitor's end and the public one")


def strict_parser(lab):
    for version in VERSIONS:
        for way, place in places(lab.strict).items():
            remap(lab, version, place)
            for family, address in FAMILIES.items():
                with lab.net.visitor.connect(address, PUBLIC) as visitor:
                    expect_visitor(lab.strict.take(), version, ends_of(visitor), f"{version}, dialled by {way}, visitor {family}")
                    visitor.sendall(b"hello")
                    check(read_exactly(visitor, 5) == b"hello", "the echo")


def ranges(lab):
    """Each port of a range names itself; an address of its own is the one that was dialled."""
    for version in VERSIONS:
        remap(lab, version, f"home:{lab.strict.port}-{lab.strict.port}", "8110-8110")
        for public in (f"{topology.RELAY4}:8120", f"[{topology.RELAY6}]:8120"):
            remap(lab, version, f"home:{lab.strict.port}", public)
        first = 8130 if version == "v1" else 8140
        text = lab.relay.ctl.text("map", f"{first}-{first + 2}", f"home:{lab.strict.port - 1}-{lab.strict.port + 1}",
                                  "--proxy", version)
        check_in("leg tls", text, "map of a range")
        for port, address in ((8110, topology.RELAY4), (8120, topology.RELAY4), (8120, topology.RELAY6),
                              (first + 1, topology.RELAY6)):
            with lab.net.visitor.connect(address, port) as visitor:
                expect_visitor(lab.strict.take(), version, ends_of(visitor), f"{version}, port {port}")
        with lab.net.visitor.connect(topology.RELAY4, first) as visitor:  # haproxy is the target before the strict one
            check(answer_of(visitor) == ends_of(visitor), f"{version}: the first port of a range")


def several_at_once(lab):
    """All are there before the first is read: nobody is told another's address."""
    for version in VERSIONS:
        remap(lab, version, f"home:{lab.strict.port}")
        visitors = {}
        for family, address in FAMILIES.items():
            for source in lab.sources[family]:
                visitor = lab.net.visitor.connect(address, PUBLIC, source=source)
                visitors[visitor.getsockname()[:2]] = visitor
        seen = [lab.strict.take() for _ in visitors]
        told = {one.header.source for one in seen if one.header}
        check(told == visitors.keys() and lab.strict.none_left(), f"{version}: {told ^ visitors.keys()}")
        for one in seen:
            expect_visitor(one, version, ends_of(visitors[one.header.source]), f"{version}, one of many")
        each_its_own_answer(lab, visitors)
    note(f"{len(visitors)} visitors at once")


def each_its_own_answer(lab, visitors):
    for name, visitor in visitors.items():
        visitor.sendall(repr(name).encode())
    for name, visitor in visitors.items():
        with visitor:
            check(read_exactly(visitor, len(repr(name))) == repr(name).encode(), f"the echo of {name}")


def before_the_first_byte(lab):
    """A silent visitor, a server that speaks first, and a visitor whose bytes and FIN are there before the dial."""
    polite = proxy_targets.Strict(lab, 8083, greeting=b"220 hello\r\n")
    for version in VERSIONS:
        text = lab.relay.ctl.text("map", 8150, "home:8083", "--proxy", version)
        check_in("target answers", text, "map")
        check(polite.take().header.raw == OWN[version], "the check of the greeting server")
        with lab.net.visitor.connect(topology.RELAY4, 8150) as visitor:
            check(read_exactly(visitor, 11) == b"220 hello\r\n", f"{version}: the greeting of a silent visitor")
            expect_visitor(polite.take(), version, ends_of(visitor), f"{version}, server first")
        remap(lab, version, f"home:{lab.strict.port}")
        with lab.net.visitor.connect(topology.RELAY6, PUBLIC) as visitor:
            ends = ends_of(visitor)
            visitor.sendall(b"all of it")
            visitor.shutdown(socket.SHUT_WR)
            check(read_to_end(visitor) == (b"all of it" + lab.strict.ENDED, FIN), f"{version}: bytes and FIN at once")
            seen = lab.strict.take()
            check(seen.payload in (b"", b"all of it"), f"{version}: a part: {seen.payload!r}")
            expect_visitor(seen, version, ends, f"{version}, quick visitor", sent=b"all of it")


def half_close(lab):
    for version in VERSIONS:
        remap(lab, version, f"home:{lab.strict.port}")
        text = bytes(range(256)) * 8000
        with lab.net.visitor.connect(topology.RELAY4, PUBLIC) as visitor:
            ends = ends_of(visitor)
            threading.Thread(target=lambda end=visitor: (end.sendall(text), end.shutdown(socket.SHUT_WR))).start()
            check(read_to_end(visitor) == (text + lab.strict.ENDED, FIN), f"{version}: half-close behind the header")
            expect_visitor(lab.strict.take(), version, ends, version, sent=text)


def checks(lab):
    """`check` says LOCAL or UNKNOWN, and real servers take it without a word about the header."""
    for version in VERSIONS:
        remap(lab, version, f"home:{lab.strict.port}")
        check_in("answers in", lab.relay.ctl.text("check", PUBLIC), "check of the strict target")
        expect_own(lab, version, "check")
        for name, server in lab.servers.items():
            remap(lab, version, f"home:{server.port}", 8151, strict=False)
            for _ in range(5):
                check_in("answers in", lab.relay.ctl.text("check", 8151), f"check of {name}")
    with lab.net.visitor.connect(topology.RELAY4, 8151) as visitor:
        check(answer_of(visitor) == ends_of(visitor), "a visitor after the checks")
    for name, server in lab.servers.items():
        complaints = [line for line in server.log().splitlines() if re.search(r"(?i)broken header|PROXY|\[(warn|error|crit)", line)]
        check(not complaints, f"{name} complains: {complaints[:5]}")
    for name, sentence in (("nginx", "broken header"), ("haproxy", "PROXY")):  # the same search finds what is wrong
        wrong = lab.net.agent.connect("127.0.0.1", lab.servers[name].port)
        wrong.sendall(b"EHLO there, this is no header\r\n")
        read_to_end(wrong)
        wait_until(lambda: sentence in lab.servers[name].log(), 5, f"{name} complains of what is no header")


def changes(lab):
    """From v1 to v2 to none and back: new flows only."""
    place = f"home:{lab.strict.port}"
    remap(lab, "v1", place)
    running = lab.net.visitor.connect(topology.RELAY4, PUBLIC)
    expect_visitor(lab.strict.take(), "v1", ends_of(running), "before")
    remap(lab, "v2", place)
    with lab.net.visitor.connect(topology.RELAY4, PUBLIC) as visitor:
        expect_visitor(lab.strict.take(), "v2", ends_of(visitor), "after v2")
    lab.relay.ctl.text("map", PUBLIC, place)
    check("ConnectionReset" in lab.strict.take().problem, "a check without a header")
    with lab.net.visitor.connect(topology.RELAY4, PUBLIC) as visitor:
        visitor.sendall(b"no header now")
        check_in("Malformed", lab.strict.take().problem, "none")
        check(end_within(visitor, 2)[0] == RST, "the strict target's refusal reaches the visitor")
    remap(lab, "v1", place)
    with lab.net.visitor.connect(topology.RELAY4, PUBLIC) as visitor:
        expect_visitor(lab.strict.take(), "v1", ends_of(visitor), "v1 again")
    with running:
        running.sendall(b"still the same flow")
        check(read_exactly(running, 19) == b"still the same flow", "the running flow has no second header")


def target_without_support(lab):
    """It gets the header as data: the visitor sees the service's own complaint at once, not silence."""
    proxy_targets.nginx(lab, 8084, header=False)
    EchoTarget(lab, 8085)
    for version in VERSIONS:
        lab.relay.ctl.text("map", 8152, "home:8084", "--proxy", version)
        with lab.net.visitor.connect(topology.RELAY4, 8152) as visitor:
            visitor.sendall(REQUEST)
            answer, _ = read_to_end(visitor, 3)
            check_in("400 Bad Request", answer.decode(), f"{version}: nginx without proxy_protocol")
        lab.relay.ctl.text("map", 8153, "home:8085", "--proxy", version)
        with lab.net.visitor.connect(topology.RELAY4, 8153) as visitor:
            source, destination = ends_of(visitor)
            line = f"PROXY TCP4 {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n".encode()
            expected = line if version == "v1" else SIGNATURE + b"\x21\x11\x00\x0c"
            check(read_exactly(visitor, len(expected)) == expected, f"{version}: an echo server returns the header")
    lab.relay.ctl.text("map", 8152, "home:8084")
    with lab.net.visitor.connect(topology.RELAY4, 8152) as visitor:
        visitor.sendall(REQUEST)
        check_in("200 OK", read_to_end(visitor)[0].decode(), "the same mapping without --proxy")


def forged_headers(lab):
    """A header that the visitor sends is payload: behind ours, byte for byte."""
    forged = {"v1": b"PROXY TCP4 203.0.113.9 203.0.113.10 1111 80\r\n",
              "v2": SIGNATURE + bytes.fromhex("2111000c cb007109 cb00710a 0457 0050")}
    for version in VERSIONS:
        for kind, header in forged.items():
            remap(lab, version, f"home:{lab.strict.port}")
            with lab.net.visitor.connect(topology.RELAY4, PUBLIC) as visitor:
                visitor.sendall(header + b"after")
                check(read_exactly(visitor, len(header) + 5) == header + b"after", f"{kind} behind {version}: the payload")
                expect_visitor(lab.strict.take(), version, ends_of(visitor), f"{kind} behind {version}", sent=header + b"after")
            for name, server in lab.servers.items():
                remap(lab, version, f"home:{server.port}", 8151, strict=False)
                with lab.net.visitor.connect(topology.RELAY4, 8151) as visitor:
                    visitor.sendall(header + REQUEST)
                    answer, _ = read_to_end(visitor)
                    check(b"203.0.113" not in answer and b"200 OK" not in answer, f"{name} believed the visitor: {answer}")


def declared(lab):
    """The other ways to a mapping: apply, nfagent expose, agent.toml."""
    path = lab.path("mappings.toml")
    with open(path, "w") as file:
        file.write("".join(f'[[mapping]]\npublic = {8160 + n}\nagent = "home"\ntarget = {lab.strict.port}\nproxy = "{version}"\n'
                           for n, version in enumerate(VERSIONS)))
    lab.relay.ctl.text("apply", path)
    lab.relay.ctl.text("agent", "set", "home", "--ports", "8170-8179")
    for n, version in enumerate(VERSIONS):
        sees(lab, version, 8160 + n, "apply")
        expose = lab.track(expose_process(lab, 8170 + n, version))
        expose.wait_log("is reachable at")
        sees(lab, version, 8170 + n, "nfagent expose")
        expose.stop()
    lab.agent.stop()
    with open(lab.agent.config, "a") as file:
        file.write("".join(f'[[mapping]]\npublic = {8172 + n}\ntarget = {lab.strict.port}\nproxy = "{version}"\n'
                           for n, version in enumerate(VERSIONS)))
    lab.agent.start()
    for n, version in enumerate(VERSIONS):
        wait_until(lambda port=8172 + n: lab.relay.listening(port), 5, "agent.toml's mapping")
        sees(lab, version, 8172 + n, "agent.toml")


def expose_process(lab, port, version):
    words = lab.agent.words("expose", lab.strict.port, "--port", port, "--proxy-header", version)
    return Process(f"expose-{version}", lab.net.agent, words, lab.path(f"expose-{version}.log"))


def sees(lab, version, port, what):
    """A visitor, behind whatever checks came before it."""
    with lab.net.visitor.connect(topology.RELAY6, port) as visitor:
        seen = lab.strict.take()
        while seen.header and seen.header.raw == OWN[version]:
            seen = lab.strict.take()
        expect_visitor(seen, version, ends_of(visitor), f"{what}, {version}")


main(set_up, real_servers, strict_parser, ranges, several_at_once, before_the_first_byte, half_close, checks, changes,
     target_without_support, forged_headers, declared, needs=("nginx", "haproxy"))
