# SPDX-License-Identifier: GPL-2.0-only
"""vm-tests/run three-machines: which rounds there are, what each checks, and what came of it."""
import argparse
import contextlib
import signal
import sys
import time

from . import Trouble, wire
from .channel import Failed
from .trio import CARD, Trio
from .tunnel import Tunnel

MTUS = (1500, 1400, 9000)
PLAIN_MIB, TLS_MIB, HOOK_MIB = 8, 4, 4
CUT_RATE = "4M"
BACK_S = 3
SERVED_S = 15
# Features of a card that change where bytes are checksummed, cut and put together.
SENT_FEATURES = ("tx-checksumming", "tcp-segmentation-offload", "generic-receive-offload")
SHOWN_FEATURES = (*SENT_FEATURES, "rx-checksumming", "rx-gro-hw", "large-receive-offload")
TAP_FEATURES = ("tx-checksumming", "tcp-segmentation-offload")
FRAGS = "xdp-virtio-frags"
RESET_TEXT, CURL_RECEIVE_FAILED = "reset by peer", 56


class Report:
    """One line a check, and the count of both kinds."""

    def __init__(self, trio: Trio):
        self.trio = trio
        self.tunnel: Tunnel | None = None
        self.ok = self.failed = 0

    def check(self, name: str, function, *arguments) -> bool:
        """Runs function(*arguments), which returns its figures or raises Failed."""
        began = time.monotonic()
        try:
            figures = function(*arguments)
        except Failed as problem:
            self.failed += 1
            print(f"FAILED {name} after {time.monotonic() - began:.1f} s: {problem}", flush=True)
            self._tails()
            return False
        self.ok += 1
        print(f"ok {name} {figures} ({time.monotonic() - began:.1f} s)", flush=True)
        return True

    def _tails(self) -> None:
        if self.tunnel is not None and self.trio.machines:
            print(self.tunnel.logs(), flush=True)
        for one in self.trio.machines:
            print(f"---- console of {one}:\n" + "\n".join(one.guest.log()[-5:]), flush=True)


def _timed(function, *arguments) -> str:
    began = time.monotonic()
    function(*arguments)
    return f"{time.monotonic() - began:.1f} s"


class Round:
    """The checks of one choice of relay, at one MTU after the other."""

    def __init__(self, report: Report, layout, tunnel: Tunnel, plant: str):
        self.report, self.layout, self.tunnel, self.plant = report, layout, tunnel, plant

    def download(self, leg: str, mib: int) -> str:
        planted, self.plant = self.plant, ""
        expected = self.tunnel.hashes[mib]
        if planted == "corrupt":
            expected = f"{int(expected[0], 16) ^ 1:x}{expected[1:]}"
        if planted == "hang":
            self.tunnel.agent.run("pkill", "-STOP", "nginx")
        try:
            return f"{mib} MiB {self.tunnel.download(leg, mib, expected):.1f} s"
        finally:
            if planted == "hang":
                self.tunnel.agent.run("pkill", "-CONT", "nginx")

    def upload(self, leg: str, mib: int) -> str:
        return f"{mib} MiB {self.tunnel.upload(leg, mib):.1f} s"

    def redis(self) -> str:
        return "100 KB " + _timed(self.tunnel.redis, 100000)

    def offload(self, mtu: int) -> str:
        """Of the transfers just made: whether packets above the MTU crossed the relay's card."""
        seen = self.tunnel.seen()
        each = {str(one): one.features() for one in self.report.trio.machines}
        told = (f"packets of {seen['received']:.0f} bytes received and {seen['sent']:.0f} sent on average, {seen['over']} sent "
                f"above the MTU; {_shown(each[str(self.tunnel.relay)])}")
        if self.layout.offload:
            off = [f"{name} of {one}" for one, features in each.items() for name in SENT_FEATURES if features.get(name) != "on"]
            if off or seen["received"] <= mtu + 14 or not seen["over"]:
                raise Failed(f"no offload is in play: {told}; off: {', '.join(off) or 'nothing'}")
            return told
        on = [one for one, features in each.items() if features.get("tcp-segmentation-offload") != "off"]
        if on or seen["received"] > mtu + 14 or seen["over"]:
            raise Failed(f"offload is in play where none can be: {told}; segmentation on: {', '.join(on) or 'nowhere'}")
        return f"hides offload, as expected: {told}"

    def hook(self, kind: str, mtu: int, may_refuse: bool) -> str:
        """The transfers with a program attached to the relay's card that lets all pass."""
        relay = self.tunnel.relay
        before = self._all_features()
        answer = relay.channel.ask(hook=kind, device=CARD)
        if refused := answer.get("refused"):
            if not may_refuse:
                raise Failed(f"refused: {refused}")
            return f"refused, as expected of this kernel: {refused}"
        try:
            after = self._all_features()
            changed = [f"{name} {value} -> {after[name]}" for name, value in before.items() if value != after[name]]
            self.tunnel.watch(mtu)
            figures = f"download {self.download('plain', HOOK_MIB)}, upload {self.upload('plain', HOOK_MIB)}"
            seen = self.tunnel.seen()
        finally:
            dropped = relay.xdp_drops() if kind.startswith("xdp") else 0
            ran = relay.channel.ask(unhook=CARD)["ran"]
        if not ran or dropped:
            raise Failed(f"the {kind} program ran over {ran} packets, and {dropped} were dropped")
        return (f"{figures}; ran over {ran} packets, 0 dropped; {seen['received']:.0f} bytes received on average, "
                f"{seen['over']} sent above the MTU; ethtool: {', '.join(changed) or 'no feature changed'}")

    def _all_features(self) -> dict[str, str]:
        """Of the relay's card as its kernel tells, and of the tap on the other side of it."""
        relay = self.tunnel.relay
        card, tap = relay.features(), self.layout.features(relay.number)
        return {**{f"card's {name}": value for name, value in card.items()},
                **{f"tap's {name}": tap[name] for name in TAP_FEATURES if name in tap}}

    def killed(self) -> str:
        """The relay process dies in mid-transfer: the visitor is reset, and the holder has it back soon."""
        tunnel = self.tunnel
        ready = tunnel.relay.count("nfrelayd", "ready\n")
        tunnel.visitor.run("rm", "-f", "/tmp/cut")
        tunnel.visitor.start("cut", "curl", "-sS", "--limit-rate", CUT_RATE, "-o", "/tmp/cut", tunnel.url("plain", "endless"))
        _wait_size(tunnel.visitor, "/tmp/cut", 1 << 20)
        tunnel.kill_relay_process()
        began = time.monotonic()
        back_s = tunnel.relay.wait_log("nfrelayd", "ready\n", 10, ready + 1)
        if back_s > BACK_S:
            raise Failed(f"the relay process was ready again after {back_s:.1f} s, expected {BACK_S} s")
        while (last := tunnel.visitor.try_run("curl", "-sS", "-m", "5", tunnel.url("plain", "small")))["output"] != "served\n":
            if time.monotonic() - began > SERVED_S:
                raise Failed(f"no visitor is served {SERVED_S} s after the death: {last['output']}")
        served_s = time.monotonic() - began
        # It reads what has come before, no faster than it was told to, and then the reset.
        cut = tunnel.visitor.channel.ask(20, wait="cut", seconds=20)
        if cut["late"] or cut["code"] != CURL_RECEIVE_FAILED or RESET_TEXT not in cut["output"]:
            late = " after 20 s" if cut["late"] else ""
            raise Failed(f"the visitor was not reset: curl ended with {cut['code']}{late}: {cut['output']}")
        return f"{cut['output'].strip()}; relay process ready after {back_s:.1f} s, visitors served after {served_s:.1f} s"

    def transfers(self, where: str, mtu: int) -> None:
        check = self.report.check
        self.tunnel.watch(mtu)
        check(f"{where} download plain", self.download, "plain", PLAIN_MIB)
        check(f"{where} upload plain", self.upload, "plain", PLAIN_MIB)
        check(f"{where} offload", self.offload, mtu)
        check(f"{where} download tls", self.download, "tls", TLS_MIB)
        check(f"{where} upload tls", self.upload, "tls", TLS_MIB)
        check(f"{where} redis set and get", self.redis)

    def hooks(self, where: str, mtu: int) -> None:
        kernel = self.tunnel.relay.kernel
        check = self.report.check
        # One page holds a frame of 1500 bytes and none of 9000; a program that takes frames in pieces is another attempt.
        jumbo = mtu > 3000
        check(f"{where} xdp", self.hook, "xdp", mtu, jumbo)
        if jumbo:
            check(f"{where} xdp-frags", self.hook, "xdp-frags", mtu, FRAGS in kernel.lacks)
        kind = "tcx" if "tcx" in kernel.has else "clsact"
        check(f"{where} {kind}", self.hook, kind, mtu, False)

    def at(self, mtu: int, short: bool) -> None:
        where = f"{self.layout.name} relay {self.tunnel.relay.kernel.name} mtu {mtu}"
        self.report.trio.set_mtu(mtu)
        if not self.report.check(f"{where} join", lambda: _timed(self.tunnel.join, f"m{mtu}")):
            return
        self.transfers(where, mtu)
        if not short:
            self.hooks(where, mtu)
            self.report.check(f"{where} relay process killed", self.killed)


def _shown(features: dict[str, str]) -> str:
    return ", ".join(f"{name} {features[name]}" for name in SHOWN_FEATURES if name in features)


def _wait_size(one, path: str, least: int) -> None:
    one.run("sh", "-c", f"while [ $(stat -c %s {path} 2>/dev/null || echo 0) -lt {least} ]; do sleep 0.1; done")


def _consoles(trio: Trio) -> str:
    for one in trio.machines:
        if bad := one.guest.bad_lines():
            raise Failed(f"the kernel of {one} complained:\n  " + "\n  ".join(bad))
    return f"clean: {sum(len(one.guest.log()) for one in trio.machines)} lines of {len(trio.machines)} kernels"


def _rounds(trio: Trio, relays, mtus, plant: str) -> Report:
    """All checks of one layout; relays: the number of the machine that is it, round by round."""
    layout = trio.wire.name
    short = layout == wire.Sockets.name
    up_s = trio.wait_up()
    print(f"{layout}: three machines up after {up_s:.1f} s: {', '.join(map(str, trio.machines))}", flush=True)
    report = Report(trio)
    for number in relays[:1] if short else relays:
        machines = [*trio.machines[number - 1:], *trio.machines[:number - 1]]
        tunnel = report.tunnel = Tunnel(*machines, sizes=tuple({PLAIN_MIB, TLS_MIB, HOOK_MIB}))
        one = Round(report, trio.wire, tunnel, plant)
        if report.check(f"{layout} relay {tunnel.relay.kernel.name} servers and relay", lambda: _timed(tunnel.set_up)):
            for mtu in mtus[:1] if short else mtus:
                one.at(mtu, short)
            tunnel.tear_down()
    report.check(f"{layout} consoles", _consoles, trio)
    return report


def _options(words: list[str]):
    parser = argparse.ArgumentParser(prog="vm-tests/run three-machines",
                                     description="Visitor, relay and agent as three guests that talk to each other.")
    parser.add_argument("--layout", choices=(wire.Taps.name, wire.Sockets.name), help="one of both; taps need root")
    parser.add_argument("--relay", choices=("6.12", "6.1"), help="kernel of the relay's machine; without it both in turn")
    parser.add_argument("--mtu", type=int, choices=MTUS, help="one of the three")
    parser.add_argument("--plant", choices=("corrupt", "hang"), default="", help="a failure that must be found: exit code 1")
    options = parser.parse_args(words)
    options.layouts = (options.layout,) if options.layout else (wire.Taps.name, wire.Sockets.name)
    options.kernels = ("6.12", "6.1", "6.1")
    return options


def main(words: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options(words)
    began = time.monotonic()
    relays = [options.kernels.index(options.relay) + 1] if options.relay else [1, 2]
    mtus = (options.mtu,) if options.mtu else MTUS
    reports = []
    try:
        with contextlib.ExitStack() as stack:
            # The machines of the second layout start while the first is checked.
            for trio in [stack.enter_context(Trio(options.kernels, layout)) for layout in options.layouts]:
                reports.append(_rounds(trio, relays, mtus, options.plant if not reports else ""))
    except Failed as problem:
        raise Trouble(str(problem)) from problem
    ok, failed = sum(report.ok for report in reports), sum(report.failed for report in reports)
    print(f"three machines: {ok} ok, {failed} failed; {time.monotonic() - began:.0f} s", flush=True)
    return 1 if failed else 0
