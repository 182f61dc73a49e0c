# SPDX-License-Identifier: GPL-2.0-only
"""One run of cases on one kernel: boots the guest, gathers its answers, and judges them."""
import dataclasses
import json
import pathlib
import time

from . import CACHE, images, kernels, listing, machine

# Counts of the cases, against those of `make test` on this machine: emulated code runs some ten times slower.
SCALE = "0.02"
# Of this machine's time: after that a guest counts as hanging.
SILENCE_S = 600
RESULTS = CACHE / "results"


@dataclasses.dataclass
class Run:
    """What is known of a run, and what is wrong with it."""
    kernel: kernels.Kernel
    release: str = ""
    listed: list[str] = dataclasses.field(default_factory=list)
    results: dict[str, dict] = dataclasses.field(default_factory=dict)
    capabilities: dict[str, str | None] = dataclasses.field(default_factory=dict)
    begun: str = ""
    ended: bool = False
    faults: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0
    guest_seconds: float = 0
    heard: float = dataclasses.field(default_factory=time.monotonic)
    silence_s: float = SILENCE_S

    def take(self, answer: dict) -> None:
        if "case" in answer:
            now = time.monotonic()
            self.results[answer["case"]] = {**answer, "here": now - self.heard}
            self.heard = now
        elif "capability" in answer:
            self.capabilities[answer["capability"]] = answer["missing"]
        elif "begin" in answer:
            self.begun = answer["begin"]
        elif "booted" in answer:
            self.release = answer["release"]
        elif "end" in answer:
            self.ended, self.guest_seconds = True, answer["seconds"]

    def of(self, result: str) -> list[dict]:
        return [answer for answer in self.results.values() if answer["result"] == result]


def _capability_faults(run: Run):
    for name in run.kernel.has:
        missing = run.capabilities.get(name, "its probe gave no answer")
        if missing is not None:
            yield f"capability {name} is declared for kernel {run.kernel.name} and missing: {missing}"
    for name in run.kernel.lacks:
        if run.capabilities.get(name, "") is None:
            yield f"capability {name} is declared as lacking on kernel {run.kernel.name}, and it is there: say `has {name}`"


def _case_faults(run: Run):
    for answer in run.of("failed"):
        yield f"case {answer['case']} failed after {answer['seconds']:.1f} s of the guest's time:\n{answer['output']}"
    for answer in run.of("skipped"):
        if answer["capability"] not in run.kernel.lacks:
            yield (f"case {answer['case']} was skipped for want of '{answer['capability']}', which vm-tests/kernels.txt "
                   f"does not list as lacking on kernel {run.kernel.name}")
    for answer in run.results.values():
        if answer["result"] not in ("passed", "failed", "skipped"):
            yield f"case {answer['case']} answered '{answer['result']}', which is neither passed, failed nor skipped"
    for name in run.listed:
        if name not in run.results:
            yield f"case {name} is listed and neither ran nor was skipped by name"


def judge(run: Run, guest: machine.Guest, in_time: bool) -> None:
    """Fills run.faults: everything that makes this run no success."""
    bad = guest.bad_lines()
    if bad:
        run.faults.append("the guest's kernel complained:\n  " + "\n  ".join(bad))
    if not in_time:
        run.faults.append(f"the guest hangs: nothing was heard for {run.silence_s:g} s, last in case {run.begun or '(none)'}; "
                          "the end of its console:\n  " + "\n  ".join(guest.log()[-20:]))
    elif not run.ended and not bad:
        run.faults.append(f"the guest ended early, last in case {run.begun or '(none)'}; the end of its console:\n  " +
                          "\n  ".join(guest.log()[-20:]))
    run.faults += [*_capability_faults(run), *_case_faults(run)]


def _follow(run: Run, guest: machine.Guest, progress) -> bool:
    """Reads answers until the guest is gone. False: it fell silent."""
    heard = time.monotonic()
    with open(guest.answers, encoding="utf-8", errors="replace") as answers:
        rest = ""
        while True:
            gone = guest.process.poll() is not None
            rest += (got := answers.read())
            *lines, rest = rest.split("\n")
            for line in lines:
                try:
                    answer = json.loads(line)
                except ValueError:
                    continue
                run.take(answer)
                progress(run.results[answer["case"]] if "case" in answer else answer)
            if gone:
                return True
            if got:
                heard = time.monotonic()
            if time.monotonic() - heard > run.silence_s:
                guest.end()
                return False
            time.sleep(0.2)


def _say(kernel: str, verbose: bool):
    def progress(answer):
        if "case" in answer and (verbose or answer["result"] == "failed" or answer["seconds"] > 20):
            print(f"{kernel}: {answer['result']} {answer['case']} {answer['seconds']:.1f} s {answer['capability']}", flush=True)
            if verbose and answer["output"]:
                print(answer["output"], flush=True)
    return progress


def attend(run: Run, guest: machine.Guest, progress) -> None:
    """Boots the guest, takes its answers until it is gone, and judges the run."""
    began = time.monotonic()
    guest.boot()
    try:
        in_time = _follow(run, guest, progress)
    finally:
        guest.end()
    run.seconds = time.monotonic() - began
    judge(run, guest, in_time)


def run_cases(kernel: kernels.Kernel, cases: list[listing.Case], verbose: bool = False, probe: bool = True,
              more: dict | None = None) -> Run:
    """Boots the kernel and runs the cases there."""
    tree = kernels.fetch(kernel)
    job = {"cases": [dataclasses.asdict(case) for case in cases], "environment": {"NFR_SCALE": SCALE},
           "probe": [*kernel.has, *kernel.lacks] if probe else [], "verbose": verbose, **(more or {})}
    guest = machine.Guest(f"kernel-{kernel.name}", tree, CACHE / "guests", disks=(images.build(),), job=job,
                          network=machine.UNCONNECTED_CARD)
    run = Run(kernel if probe else dataclasses.replace(kernel, has=[]), listed=[case.name for case in cases])
    attend(run, guest, _say(kernel.name, verbose))
    return run


def show(run: Run, console: pathlib.Path) -> bool:
    """The account of a run. True: nothing is wrong."""
    for fault in run.faults:
        print(f"FAULT {run.kernel.name}: {fault}", flush=True)
    skipped = ", ".join(sorted({answer["capability"] for answer in run.of("skipped")}))
    print(f"kernel {run.kernel.name} ({run.release}): {len(run.listed)} listed, {len(run.results)} answered, "
          f"{len(run.of('passed'))} passed, {len(run.of('failed'))} failed, {len(run.of('skipped'))} skipped"
          f"{f' for want of {skipped}' if skipped else ''}; {run.seconds:.0f} s here, {run.guest_seconds:.0f} s there",
          flush=True)
    if run.faults:
        print(f"console: {console}", flush=True)
    return not run.faults


def forget(kernel: kernels.Kernel) -> None:
    """Before a whole run: what an earlier one found is no answer any more."""
    (RESULTS / f"{kernel.name}.json").unlink(missing_ok=True)


def keep(run: Run) -> None:
    """What a whole run without a fault found, for the report."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{run.kernel.name}.json").write_text(json.dumps({
        "release": run.release, "capabilities": run.capabilities, "listed": len(run.listed),
        "passed": len(run.of("passed")), "seconds_here": {name: round(answer["here"], 1) for name, answer in run.results.items()},
        "skipped": {answer["case"]: answer["capability"] for answer in run.of("skipped")}}, indent=1))
