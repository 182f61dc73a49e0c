# SPDX-License-Identifier: GPL-2.0-only
"""What strangers cost is bounded: bursts on the tunnel port, and sessions with a key of their own and no login."""
import os
import ssl
import subprocess
import time

import harness  # noqa: F401
from netlab import topology
from netlab.case import check, main, note, scaled
from netlab.process import descriptor_count, wait_until
from netlab.sockets import EchoTarget, echoes

STRANGERS_MAX = 6000  # of relayd/tunnel.hpp
UNPROVEN_MAX = 256
BURST = 8500
SESSIONS = min(420, scaled(420, 280))  # more than UNPROVEN_MAX


def set_up(lab):
    lab.start_relay()
    lab.agent = lab.add_agent("home")
    EchoTarget(lab, 7200)
    lab.relay.ctl.text("map", 8103, "home:7200")
    lab.sources = lab.net.add_visitor_addresses(16)


def burst(lab):
    """Thousands at once: more than the limit are never held, not even for the time it takes to close the oldest."""
    pid = lab.relay.relay_pid()
    before = descriptor_count(pid)
    crowd = []
    for number in range(BURST):
        made = lab.net.visitor.socket()
        made.setblocking(False)
        made.bind((lab.sources[number % len(lab.sources)], 0))
        made.connect_ex((topology.RELAY4, 7707))
        crowd.append(made)
    wait_until(lambda: descriptor_count(pid) - before > STRANGERS_MAX * 0.8, 5, "a crowd")
    most = 0
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        most = max(most, descriptor_count(pid) - before)
        time.sleep(0.02)
    note(f"{BURST} connections at once: the relay held {most} at most")
    # What the kernel has accepted in one round comes on top while the oldest are closed.
    check(most <= STRANGERS_MAX + 1024, f"{most} strangers were held")
    check(echoes(lab, topology.RELAY4, 8103), "a visitor is served meanwhile")
    for made in crowd:
        made.close()
    wait_until(lambda: descriptor_count(pid) <= before + 2, 8, "descriptors are back")
    check(lab.relay.relay_pid() == pid, "the relay process died")


def own_key(lab):
    """A context as an agent's, with a key the relay does not know."""
    key = os.path.join(lab.directory, "own.key")
    certificate = os.path.join(lab.directory, "own.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", key, "-out", certificate,
                    "-subj", "/CN=stranger", "-days", "2"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["nf/1"])
    context.load_cert_chain(certificate, key)
    return context


def is_open(session):
    try:
        return session.recv(1) != b""
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False


def sessions(lab):
    """Anybody can make a key and finish a handshake: without a login such sessions are bounded and the oldest go."""
    context = own_key(lab)
    pid = lab.relay.relay_pid()
    held = []
    began = time.monotonic()
    for _ in range(SESSIONS):
        made = context.wrap_socket(lab.net.agent.connect(topology.TUNNEL4, 7707), do_handshake_on_connect=False)
        try:
            made.do_handshake()
        except OSError:
            pass
        made.setblocking(False)
        held.append(made)
    took = time.monotonic() - began
    time.sleep(0.1)
    left = [is_open(session) for session in held]
    note(f"{SESSIONS} sessions without a login in {took:.1f} s: {sum(left)} are held, the newest of them")
    check(took < 4.5, "the machine is too slow for this to mean anything")
    check(UNPROVEN_MAX * 0.8 < sum(left) <= UNPROVEN_MAX, f"{sum(left)} are held")
    check(not any(left[:SESSIONS - UNPROVEN_MAX - 16]), "an old one was kept and a newer one sent away")
    lab.agent.restart(pause=0)
    lab.agent.wait_connected(10)
    check(echoes(lab, topology.RELAY4, 8103), "a visitor is served meanwhile")
    for session in held:
        session.close()
    check(lab.relay.relay_pid() == pid, "the relay process died")


main(set_up, burst, sessions)
