# SPDX-License-Identifier: GPL-2.0-only
"""Proves that a run can fail: plants what must be noticed, in as few guests as can hold it, and expects the right words."""
import dataclasses
import re
import subprocess
import sys
import time

from . import CACHE, HERE, images, kernels, listing, machine, session

DEFAULT_KERNEL = "6.12"
# Of this machine's time, from the start of the case that falls silent.
SILENCE_S = 5
NEVER = "planted.NotInTheJob"
FIRST_HAS, FIRST_LACKS = ["veth", "no-such-thing"], {"bridge": "planted: it is there"}


@dataclasses.dataclass
class Planted:
    """One guest: what it runs, and the words of each fault that must come of it, no more and no fewer."""
    name: str
    cases: list[listing.Case]
    expected: dict[str, str]
    passed: list[str]
    kernel: dict = dataclasses.field(default_factory=dict)
    listed_too: tuple = ()
    silent_from: str = ""


def _case(name: str, command: str, timeout_s: float = 60) -> listing.Case:
    return listing.Case(f"planted.{name}", ["sh", "-c", command], {}, timeout_s, 77, [], "/")


def _gtest(name: str) -> listing.Case:
    return listing.Case(f"planted.{name}", ["/guest/planted_tests", f"--gtest_filter=Planted.{name}"], {}, 60, None, [], "/")


def _wrong_cases() -> Planted:
    """Cases and capabilities that are not as they should be, and an end in the middle."""
    cases = [_case("Passes", "true"), _case("Fails", "echo planted reason; exit 3"), _case("Hangs", "sleep 1000", 5),
             _case("SkipsWhatIsDeclared", "echo SKIPPED: capability veth is missing; exit 77"),
             _gtest("One"), _gtest("Crashes"), _gtest("Two"),
             _case("SwitchesOff", "echo o > /proc/sysrq-trigger; sleep 1000"), _case("ComesAfter", "true")]
    return Planted("cases", cases, {
        "a case that fails": r"^case planted\.Fails failed after .*\nplanted reason\nended with 3",
        "a case that hangs": r"^case planted\.Hangs failed after [5-9]\.\d s of the guest's time:\nnot done after 5 s",
        "a skip of a capability that is declared": r"^case planted\.SkipsWhatIsDeclared was skipped for want of 'veth'",
        "a crash in the middle of a GoogleTest process":
        r"^case planted\.Crashes failed .*\nabout to crash\nthe process ended with -11",
        "a guest that switches off in the middle": r"^the guest ended early, last in case planted\.SwitchesOff",
        "the case that the end came in": r"^case planted\.SwitchesOff is listed and neither ran nor was skipped",
        "a case after the end": r"^case planted\.ComesAfter is listed and neither ran nor was skipped",
        "a listed case that never answers": rf"^case {re.escape(NEVER)} is listed and neither ran nor was skipped",
        "a capability declared as lacking that is there": "^capability bridge is declared as lacking .*, and it is there",
        "a declared capability that is not there": "^capability no-such-thing is declared for kernel .* and missing",
    }, ["planted.Passes", "planted.One", "planted.Two"], kernel={"has": FIRST_HAS, "lacks": FIRST_LACKS}, listed_too=(NEVER,))


def _complaints() -> Planted:
    """The kernel's log: a warning, then a panic."""
    cases = [_case("Warns", "echo '<4>WARNING: planted by the selftest' > /dev/kmsg"),
             _case("Panics", "echo c > /proc/sysrq-trigger; sleep 1000")]
    return Planted("complaints", cases, {
        "a warning and a panic of the kernel":
        r"(?s)^the guest's kernel complained:.*WARNING: planted by the selftest.*Kernel panic",
        "the case that the panic came in": r"^case planted\.Panics is listed and neither ran nor was skipped",
    }, ["planted.Warns"])


def _silence() -> Planted:
    """The guest lives, and nothing comes of it: its runner is stopped."""
    return Planted("silence", [_case("Passes", "true"), _case("StopsTheRunner", "kill -STOP $PPID; sleep 1")], {
        "a guest that hangs": rf"^the guest hangs: nothing was heard for {SILENCE_S} s, last in case planted\.StopsTheRunner",
        "the case that it hangs in": r"^case planted\.StopsTheRunner is listed and neither ran nor was skipped",
    }, ["planted.Passes"], silent_from="planted.StopsTheRunner")


def _faults(planted: Planted, kernel: kernels.Kernel, tree: kernels.Tree) -> session.Run:
    """What the run of one guest comes to."""
    declared = kernels.Kernel(kernel.name, kernel.package, **planted.kernel)
    job = {"cases": [dataclasses.asdict(case) for case in planted.cases], "environment": {},
           "probe": [*declared.has, *declared.lacks]}
    guest = machine.Guest(f"selftest-{planted.name}", tree, CACHE / "guests", disks=(images.build(cases=False),), job=job)
    run = session.Run(declared, listed=[*(case.name for case in planted.cases), *planted.listed_too])

    def progress(answer):
        if planted.silent_from and answer.get("begin") == planted.silent_from:
            run.silence_s = SILENCE_S
    session.attend(run, guest, progress)
    return run


def _compared(planted: Planted, run: session.Run) -> list[str]:
    """What was not caught, or caught without being planted."""
    wrong, left = [], list(run.faults)
    for what, words in planted.expected.items():
        hit = next((fault for fault in left if re.search(words, fault)), None)
        if hit is None:
            wrong.append(f"not caught: {what} (no fault like /{words}/)")
        else:
            left.remove(hit)
            print(f"selftest: caught {what}: {hit.splitlines()[0]}", flush=True)
    wrong += [f"a fault that nobody planted: {fault}" for fault in left]
    wrong += [f"{name} did not pass" for name in planted.passed if run.results.get(name, {}).get("result") != "passed"]
    return [f"guest {planted.name}: {text}" for text in wrong]


def run(kernel: kernels.Kernel) -> bool:
    """True: everything planted was caught."""
    began = time.monotonic()
    wrong = []
    if subprocess.run([sys.executable, "-B", HERE / "lab_test.py"], check=False).returncode != 0:
        wrong.append("vm-tests/lab_test.py: what was planted without a guest")
    tree = kernels.fetch(kernel)
    guests = (_wrong_cases(), _complaints(), _silence())
    for planted in guests:
        wrong += _compared(planted, _faults(planted, kernel, tree))
    for text in wrong:
        print(f"SELFTEST {text}", flush=True)
    print(f"selftest on {kernel.name}: {sum(len(planted.expected) for planted in guests)} planted in {len(guests)} guests, "
          f"{len(wrong)} wrong; {time.monotonic() - began:.0f} s", flush=True)
    return not wrong
