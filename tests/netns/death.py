# SPDX-License-Identifier: GPL-2.0-only
"""kill -9 and SIGTERM of relay process, agent and holder while thousands of streams run through them.

The kernel sends FIN for a killed process; every socket of a running flow must make that an RST. nf-stream (--faults:
errors are expected, clean ends of truncated streams are not) watches all the time. The harness restarts what systemd
would: holder and agent; the relay process is the holder's business.
"""
import contextlib
import os
import signal
import time

import harness  # noqa: F401
from netlab import streams, topology
from netlab.case import check, main, note, scaled
from netlab.process import wait_until
from netlab.sockets import EchoTarget, echoes

KILL_COUNT = scaled(20, 2)
TERM_COUNT = scaled(5, 1)
BACK_SECONDS = 3.0
PORTS = {"plain": 8101, "tls": 8102}
ECHO_PORT = 8103


def set_up(lab):
    lab.start_relay()
    lab.agent = lab.add_agent("home")
    for leg, port in PORTS.items():
        lab.relay.ctl.text("map", port, "home:7100", "--leg", leg)
    EchoTarget(lab, 7200)
    lab.relay.ctl.text("map", ECHO_PORT, "home:7200")
    check(echoes(lab, topology.RELAY4, ECHO_PORT), "the echo before any death")


def traffic(lab, name):
    # A killed process resets once, and nobody repeats it. An RST behind a hole (the receiver had dropped a segment for
    # want of room, TCPRcvQDrop) only draws a challenge ACK (RFC 5961), and those are limited. What is lost so is found by
    # the channel's keepalive, 25 s later: only what outlasts that is stuck.
    connect = [f"{topology.RELAY4}:{PORTS['plain']}", f"[{topology.RELAY6}]:{PORTS['tls']}"]
    return streams.Streams(lab, name, connect, ["127.0.0.1:7100"], concurrency=32, size=4 << 20, resets=3, faults=True,
                           seconds=3600, stall=40).wait_running()


def survive(lab, name, count, kill, restart=None, listener_stays=False):
    """So many deaths under load: each time everything is back within BACK_SECONDS of the restart."""
    run = traffic(lab, name)
    waits = []
    for _ in range(count):
        wait_until(lambda: len(lab.relay.ctl.flows()) >= 8, 10, "streams under way")
        time.sleep(lab.random.uniform(0.02, 0.25))
        kill()
        if listener_stays:
            lab.net.visitor.connect(topology.RELAY4, ECHO_PORT, timeout=1).close()
        if restart is not None:
            time.sleep(0.1)  # RestartSec=100ms
            restart()
        began = time.monotonic()
        wait_until(lambda: echoes(lab, topology.RELAY4, ECHO_PORT, seconds=BACK_SECONDS), BACK_SECONDS + 2,
                   f"{name}: mappings and sessions are back")
        waits.append(time.monotonic() - began)
    run.end_soon()
    result = run.finish(80)
    note(f"{name}: {count} deaths, back after {1000 * sorted(waits)[count // 2]:.0f} ms (median), "
         f"{1000 * max(waits):.0f} ms (worst)")
    check(max(waits) <= BACK_SECONDS, f"{name}: back only after {max(waits):.2f} s")
    check(result["broken"] >= count, f"{name}: hardly a stream was hit: {result}")
    check(result["exact"] >= count, f"{name}: hardly a stream came through: {result}")


def relay_process_killed(lab):
    survive(lab, "relay-kill", KILL_COUNT, lambda: lab.relay.kill_relay_process(), listener_stays=True)
    check(lab.relay.process.alive(), "the holder lives on")


def relay_process_terminated(lab):
    survive(lab, "relay-term", TERM_COUNT, lambda: lab.relay.kill_relay_process(signal.SIGTERM), listener_stays=True)


def agent_killed(lab):
    survive(lab, "agent-kill", KILL_COUNT, lab.agent.kill, lambda: lab.agent.start(wait=False))


def agent_terminated(lab):
    survive(lab, "agent-term", TERM_COUNT, lambda: lab.agent.process.stop(), lambda: lab.agent.start(wait=False))


def stop_holder(lab, how):
    """The relay process must go with its holder; until then the directories are not free."""
    relay_pid = lab.relay.relay_pid()
    how()

    def gone():
        with contextlib.suppress(OSError), open(f"/proc/{relay_pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in "ZX"
        return True
    wait_until(gone, 3, "the relay process ends with its holder")


def holder_killed(lab):
    survive(lab, "holder-kill", KILL_COUNT, lambda: stop_holder(lab, lab.relay.process.kill), lambda: lab.relay.start(wait=False))


def holder_terminated(lab):
    survive(lab, "holder-term", TERM_COUNT, lambda: stop_holder(lab, lab.relay.process.stop), lambda: lab.relay.start(wait=False))


def listeners_stay_open(lab):
    """While no relay process can live, visitors are accepted by the kernel and then reset, not refused, not left."""
    began = time.monotonic()
    refused = 0
    while time.monotonic() - began < 1.5:
        pid = lab.relay.relay_pid()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            lab.net.visitor.connect(topology.RELAY4, ECHO_PORT, timeout=1).close()
        except ConnectionRefusedError:
            refused += 1
        except ConnectionResetError:
            pass
        time.sleep(0.01)  # the backlog is finite
    check(refused == 0, f"{refused} visitors found the listener closed")
    wait_until(lambda: echoes(lab, topology.RELAY4, ECHO_PORT), 8, "it recovers")


main(set_up, relay_process_killed, relay_process_terminated, agent_killed, agent_terminated, holder_killed,
     holder_terminated, listeners_stay_open)
