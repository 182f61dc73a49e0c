# SPDX-License-Identifier: GPL-2.0-only
"""The three namespaces with servers in the agent's and the chosen variants started; what cannot run is named."""
import harness  # noqa: F401
from netlab.case import Lab
from netlab.daemons import binary
from netlab.process import Process
from variants import ECHO, IPERF, STREAM, handover, program


class Bench:
    def __init__(self):
        self.lab = Lab()
        self.variants = []
        self.skipped = {}

    def start(self, kinds):
        needed = {service for kind in kinds for service in kind.services}
        if IPERF in needed:
            if program("iperf3") is None:
                raise RuntimeError("iperf3 is not on PATH: scripts/deps bench")
            self._serve("iperf3", [program("iperf3"), "-s", "-p", IPERF, "--forceflush"], "Server listening")
        for verb, service in (("echo", ECHO), ("stream", STREAM)):
            if service in needed:
                words = [binary("nf-load"), verb, f"0.0.0.0:{service}", handover(self.lab, service)]
                self._serve(verb, words, "ready")
        for kind in kinds:
            variant = kind(self.lab)
            missing = variant.missing()
            try:
                if not missing:
                    variant.start()
            except (AssertionError, RuntimeError, OSError) as problem:
                missing = f"does not start: {str(problem).splitlines()[0]}"
            if missing:
                self.skipped[variant.name] = missing
            else:
                self.variants.append(variant)
        return self

    def _serve(self, name, words, ready):
        process = self.lab.track(Process(name, self.lab.net.agent, words, self.lab.path(f"{name}.log")))
        process.wait_log(ready)

    def close(self):
        self.lab.close()
