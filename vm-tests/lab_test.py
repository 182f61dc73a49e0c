#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What vm-tests/run must notice, planted without a guest: made-up answers and consoles, the guest's runner on this machine,
damaged caches and bad lists. `vm-tests/run selftest` does this and the same in real guests."""
import dataclasses
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
from lab import HERE, Trouble, cache, channel, guest_module, images, kernels, listing, machine, packages, session  # noqa: E402

PLANTED = str(HERE / "guest/planted_tests")
END = {"end": True, "seconds": 5.0}

# What each of machine.BAD_PARTS is for, in its order.
COMPLAINTS = (
    "BUG: unable to handle page fault for address: ffffa1",
    "kernel BUG at net/core/skbuff.c:110!",
    "WARNING: CPU: 0 PID: 7 at net/core/dev.c:1 f+0x1/0x2",
    "Oops: 0002 [#1] PREEMPT SMP NOPTI",
    "Kernel panic - not syncing: Attempted to kill init!",
    "general protection fault, probably for non-canonical address 0xdead: 0000 [#1] PREEMPT SMP NOPTI",
    "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI",
    "watchdog: soft lockup - CPU#0 stuck for 22s! [nfrelayd:1]",
    "khungtaskd: hung task",
    "INFO: task nfrelayd:1 blocked for more than 120 seconds.",
    "rcu: INFO: rcu_preempt self-detected stall on CPU",
    "Call Trace:",
    "Out of memory: Killed process 1 (nfrelayd) total-vm:1kB",
    "Memory cgroup out of memory: Killed process 1 (nfrelayd) total-vm:1kB",
    "unregister_netdevice: waiting for lo to become free. Usage count = 1",
    "refcount_t: underflow; use-after-free.",
    "UBSAN: shift-out-of-bounds in net/core/dev.c:1:2",
    "KASAN: null-ptr-deref in range [0x0-0x7]",
    "list_del corruption. prev->next should be ffffa1, but was ffffa2",
    "page_pool: leaked 1 pages",
    "nf_nat: Unknown symbol nf_ct_get (err -2)",
    "EXT4-fs error (device pmem0): ext4_lookup:1: inode #2: comm sh: iget: checksum invalid",
    "nfr-data-0[81]: segfault at 0 ip 000055 sp 00007f error 4 in nfrelayd[5500+1000] likely on CPU 0 (core 0, socket 0)",
)
NO_COMPLAINTS = (
    "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!",
    "traps: unit_base[81] general protection fault ip:7f1 sp:7f2 error:0 in libc.so.6[7f0+1000]",
    "traps: unit_base[81] trap invalid opcode ip:7f1 sp:7f2 error:0 in unit_base[7f0+1000]",
    "unit_base[81]: segfault at 0 ip 000055 sp 00007f error 4 in unit_base[5500+1000] likely on CPU 0 (core 0, socket 0)",
    "EXT4-fs (pmem0): mounted filesystem without journal. Quota mode: none.",
    "rcu: INFO: planted",
)


def answer(name: str, result: str = "passed", capability: str = "", output: str = "") -> dict:
    return {"case": name, "result": result, "seconds": 0.5, "capability": capability, "output": output}


class InDirectory(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="lab-test-")  # pylint: disable=consider-using-with
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)


class JudgeTest(InDirectory):
    """Made-up answers and a made-up console."""

    def faults(self, answers, console=("[    1.0] reboot: Power down",), in_time=True, listed=("a", "b"), has=(), lacks=()):
        guest = machine.Guest("made-up", None, self.directory)
        guest.console.write_text("\r\n".join(console))
        run = session.Run(kernels.Kernel("k", "p", list(has), dict.fromkeys(lacks, "planted")), listed=list(listed))
        for one in answers:
            run.take(one)
        session.judge(run, guest, in_time)
        with mock.patch("builtins.print"):
            self.assertEqual(session.show(run, guest.console), not run.faults)
        return run.faults

    def only(self, words: str, answers, **more):
        faults = self.faults(answers, **more)
        self.assertEqual(len(faults), 1, faults)
        self.assertRegex(faults[0], words)

    def test_a_good_run_has_no_fault(self):
        self.assertEqual(self.faults([answer("a"), answer("b", "skipped", "tcx"), {"capability": "veth", "missing": None},
                                      {"capability": "tcx", "missing": "EINVAL"}, END], has=["veth"], lacks=["tcx"]), [])

    def test_a_failed_case(self):
        self.only("case b failed after 0.5 s of the guest's time:\nwhat it said",
                  [answer("a"), answer("b", "failed", output="what it said"), END])

    def test_a_case_that_never_answers(self):
        self.only("case b is listed and neither ran nor was skipped", [answer("a"), END])

    def test_a_result_of_another_word(self):
        self.only("case b answered 'well'", [answer("a"), answer("b", "well"), END])

    def test_a_skip_of_what_is_declared(self):
        self.only("case b was skipped for want of 'veth', which .* does not list as lacking on kernel k",
                  [answer("a"), answer("b", "skipped", "veth"), {"capability": "veth", "missing": None}, END], has=["veth"])

    def test_a_skip_without_a_name(self):
        self.only("case b was skipped for want of ''", [answer("a"), answer("b", "skipped"), END])

    def test_a_declared_capability_that_is_missing(self):
        self.only("capability veth is declared for kernel k and missing: EPERM",
                  [answer("a"), answer("b"), {"capability": "veth", "missing": "EPERM"}, END], has=["veth"])

    def test_a_declared_capability_without_an_answer(self):
        self.only("capability veth is declared for kernel k and missing: its probe gave no answer",
                  [answer("a"), answer("b"), END], has=["veth"])

    def test_a_lacking_capability_that_is_there(self):
        self.only("capability tcx is declared as lacking on kernel k, and it is there",
                  [answer("a"), answer("b"), {"capability": "tcx", "missing": None}, END], lacks=["tcx"])

    def test_an_early_end(self):
        self.only("the guest ended early, last in case b", [answer("a"), answer("b"), {"begin": "b", "of": 1}])

    def test_a_hang(self):
        self.only("the guest hangs: nothing was heard for 600 s, last in case b",
                  [answer("a"), answer("b"), {"begin": "b", "of": 1}], in_time=False)

    def test_a_run_without_any_answer(self):
        self.assertEqual(len(self.faults([])), 3)

    def test_complaints_of_the_kernel(self):
        for line in ("WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 f+0x1/0x2", "BUG: kernel NULL pointer dereference",
                     "Kernel panic - not syncing: sysrq triggered crash", "general protection fault, probably for",
                     "Oops: 0002 [#1]", "Call Trace:", "refcount_t: underflow",
                     "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!", "INFO: task a:1 blocked for more than 120 seconds.",
                     "Out of memory: Killed process 1", "unregister_netdevice: waiting for lo to become free"):
            with self.subTest(line):
                console = ("[    1.0] " + line, "more")
                self.only("the guest's kernel complained", [answer("a"), answer("b"), END], console=console)
        # A panic explains an early end.
        self.only("Kernel panic", [answer("a"), answer("b")], console=("[    1.0] Kernel panic - not syncing: planted",))

    def test_each_complaint_has_its_pattern(self):
        for part, line in zip(machine.BAD_PARTS, COMPLAINTS, strict=True):
            self.assertRegex("[    1.0] " + line, part)
        more = ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "rcu: INFO: rcu_sched detected expedited stalls on",
                "general protection fault: 0000 [#1]", "nfctl[9]: segfault at 0 ip 0 sp 0 error 4 in nfctl[0+1]")
        for line in more:
            self.assertRegex(line, machine.BAD)
        for line in NO_COMPLAINTS:
            self.assertNotRegex("[    1.0] " + line, machine.BAD)

    def test_a_quiet_console_is_no_complaint(self):
        console = ("[    1.0] Warning: unable to open", "debug: bug")
        self.assertEqual(self.faults([answer("a"), answer("b"), END], console=console), [])


class AttendTest(InDirectory):
    """A process that stands for the guest, and what it writes to the file of its answers."""

    def attend(self, script: str, silence_s: float = 20) -> session.Run:
        guest = machine.Guest("made-up", None, self.directory)
        run = session.Run(kernels.Kernel("k", "p"), listed=["a"], silence_s=silence_s)

        def boot():
            guest.answers.write_text("")
            guest.process = subprocess.Popen(["sh", "-c", script, "sh", guest.answers])
        with mock.patch.object(guest, "boot", boot):
            session.attend(run, guest, lambda answer: None)
        self.assertIsNotNone(guest.process.poll(), "the guest is still there")
        return run

    def test_answers_in_pieces_and_noise(self):
        line = json.dumps(answer("a"))
        end = json.dumps(END)
        run = self.attend(f"(printf %s '{line[:20]}'; sleep 0.3; echo '{line[20:]}'; echo noise; echo '{end}') >> $1")
        self.assertEqual(run.faults, [])

    def test_silence_ends_the_guest(self):
        run = self.attend("exec sleep 60", silence_s=0.5)
        self.assertRegex(run.faults[0], "the guest hangs: nothing was heard for 0.5 s")


def case(name: str, *command: str, timeout_s: float = 30) -> listing.Case:
    return listing.Case(name, list(command), {}, timeout_s, 77, [], "/")


def gtest(what: str, timeout_s: float = 30) -> listing.Case:
    return case(f"planted.{what}", PLANTED, f"--gtest_filter=Planted.{what}", timeout_s=timeout_s)


class RunnerTest(InDirectory):
    """guest/runner.py on this machine, with a file for the serial port."""

    def answers(self, *cases: listing.Case) -> dict[str, dict]:
        port, job = self.directory / "port", self.directory / "job.json"
        port.write_text("")
        job.write_text(json.dumps({"cases": [dataclasses.asdict(one) for one in cases], "environment": {}}))
        subprocess.run([sys.executable, "-B", HERE / "guest/runner.py", port, job], check=True, timeout=50)
        said = [json.loads(line) for line in port.read_text().splitlines()]
        self.assertTrue(said[-1]["end"])
        return {one["case"]: one for one in said if "case" in one}

    def results(self, *cases: listing.Case) -> dict[str, str]:
        return {name: one["result"] for name, one in self.answers(*cases).items()}

    def test_plain_cases(self):
        said = self.answers(case("good", "true"), case("bad", "sh", "-c", "echo why; exit 3"),
                            case("skip", "sh", "-c", "echo SKIPPED: capability veth is missing; exit 77"))
        self.assertEqual([one["result"] for one in said.values()], ["passed", "failed", "skipped"])
        self.assertEqual(said["bad"]["output"], "why\nended with 3")
        self.assertEqual(said["skip"]["capability"], "veth")

    def test_a_plain_case_that_hangs(self):
        said = self.answers(case("hangs", "sleep", "1000", timeout_s=0.5), case("next", "true"))
        self.assertIn("not done after", said["hangs"]["output"])
        self.assertEqual([one["result"] for one in said.values()], ["failed", "passed"])

    def test_a_googletest_process_that_crashes(self):
        said = self.answers(*(gtest(what) for what in ("One", "Crashes", "Two", "Fails", "Skips", "Three")))
        self.assertEqual({name.partition(".")[2]: one["result"] for name, one in said.items()},
                         {"One": "passed", "Crashes": "failed", "Two": "passed", "Fails": "failed", "Skips": "skipped",
                          "Three": "passed"})
        self.assertIn("about to crash\nthe process ended with -11", said["planted.Crashes"]["output"])
        self.assertEqual(said["planted.Skips"]["capability"], "veth")

    def test_a_googletest_case_that_hangs_or_leaves(self):
        said = self.answers(*(gtest(what, timeout_s=1) for what in ("One", "Hangs", "Two", "Leaves", "Three")))
        self.assertEqual([one["result"] for one in said.values()], ["passed", "failed", "passed", "failed", "passed"])
        self.assertIn("not done after 1 s", said["planted.Hangs"]["output"])
        self.assertIn("the process ended with 0", said["planted.Leaves"]["output"])

    def test_what_a_googletest_process_reports_at_its_end(self):
        said = self.answers(*(gtest(what) for what in ("One", "Leaks", "Two")))
        self.assertEqual([one["result"] for one in said.values()], ["passed", "passed", "failed"])
        self.assertIn("LeakSanitizer: planted\nthe process ended with 1", said["planted.Two"]["output"])

    def test_a_googletest_program_that_never_starts_a_case(self):
        self.assertEqual(self.results(case("p.A", "true", "--gtest_filter=P.A"), case("p.B", "true", "--gtest_filter=P.B")),
                         {"p.A": "failed", "p.B": "failed"})

    def test_a_program_that_is_not_there(self):
        self.assertEqual(self.results(case("lost", "/nonexistent/program"), case("next", "true")),
                         {"lost": "failed", "next": "passed"})
        self.assertIn("/nonexistent/program", self.answers(case("lost", "/nonexistent/program"))["lost"]["output"])
        self.assertEqual(self.results(case("lost.A", "/nonexistent/program", "--gtest_filter=L.A"), case("next", "true")),
                         {"lost.A": "failed", "next": "passed"})

    def test_a_terminal_as_the_port(self):
        ours, theirs = os.openpty()
        guest_module("runner").Port(os.ttyname(theirs)).say(case="a")
        self.assertEqual(os.read(ours, 100), b'{"case": "a"}\n')


class KernelsTest(InDirectory):
    """kernels.txt, and the cache of unpacked packages."""

    def refused(self, text: str, words: str):
        with self.assertRaisesRegex(Trouble, words):
            kernels.check_probes(kernels.parse(text), guest_module("probe").PROBES)

    def test_bad_lists(self):
        self.refused("kernel a p\nhave veth\n", "kernels.txt:2: 'have veth' is no statement")
        self.refused("kernel a p\nhas\n", "kernels.txt:2: 'has' is no statement")
        self.refused("kernel a\n", "kernels.txt:1: 'kernel a'")
        self.refused("has veth\n", "kernels.txt:1: 'has veth' comes before the first kernel")
        self.refused("kernel a p\nlacks tcx\n", "kernels.txt:2: 'lacks tcx' is no statement")
        self.refused("kernel a p\nkernel a q\n", "kernels.txt:2: kernel a is there twice")
        self.refused("kernel a p\nhas veth tun\nhas veth\n", "kernels.txt:3: veth is there twice for kernel a")
        self.refused("kernel a p\nhas veth veth\n", "kernels.txt:2: veth is there twice for kernel a")
        self.refused("kernel a p\nhas tcx\nlacks tcx why\n", "kernels.txt:3: tcx is there twice for kernel a")
        self.refused("kernel a p\nhas vteh\n", "kernel a: vteh has no probe")
        self.refused("kernel a p\nlacks vteh because\n", "kernel a: vteh has no probe")
        self.assertEqual(list(guest_module("probe").all_of(["vteh"], ours=False)), [("vteh", "there is no probe of that name")])

    def test_the_list_of_the_repository(self):
        self.assertIn("6.12", kernels.declared())

    def test_a_damaged_tree_is_unpacked_again(self):
        package = {"Package": "linux-image-1.0-planted", "Version": "1~1", "SHA256": "0"}
        unpacked = []

        def unpack(_, directory):
            unpacked.append(directory)
            (directory / "boot").mkdir(parents=True, exist_ok=True)
            (directory / "boot/vmlinuz-1.0-planted").write_bytes(b"image")
            note = {"release": "1.0-planted", "tree": kernels._tree_hash(directory)}
            (directory / kernels.UNPACKED).write_text(json.dumps(note))
            return kernels.Tree(directory, "1.0-planted")
        with mock.patch.multiple(kernels, CACHE=self.directory, _resolved=lambda _: package, _unpack=unpack), \
                mock.patch("builtins.print"):
            for damage, times in ((None, 1), (None, 1), (b"imagf", 2), (None, 2), (b"", 3)):
                if damage is not None:
                    (unpacked[0] / "boot/vmlinuz-1.0-planted").write_bytes(damage)
                tree = kernels.fetch(kernels.Kernel("1", "p"))
                self.assertEqual((len(unpacked), tree.image.read_bytes()), (times, b"image"))
            (unpacked[0] / "boot/added").write_bytes(b"")
            kernels.fetch(kernels.Kernel("1", "p"))
            self.assertEqual(len(unpacked), 4)
            (unpacked[0] / kernels.UNPACKED).write_text("{")
            kernels.fetch(kernels.Kernel("1", "p"))
            self.assertEqual(len(unpacked), 5)

    def test_a_download_that_is_not_what_apt_lists(self):
        (self.directory / "bin").mkdir()
        apt = self.directory / "bin/apt-get"
        apt.write_text("#!/bin/sh\nprintf planted > linux.deb\n")
        apt.chmod(0o755)
        package = {"Package": "p", "Version": "1", "SHA256": hashlib.sha256(b"planted").hexdigest()}
        with mock.patch.dict(os.environ, {"PATH": f"{self.directory}/bin:{os.environ['PATH']}"}):
            self.assertEqual(kernels._download(package, self.directory).name, "linux.deb")
            with self.assertRaisesRegex(Trouble, "linux.deb is not what apt's index lists"):
                kernels._download({**package, "SHA256": "0"}, self.directory)

    def fetched(self, package: dict, unpack, name: str = "1", **more) -> kernels.Tree:
        with mock.patch.multiple(kernels, CACHE=self.directory, _resolved=lambda _: package, _unpack=unpack, **more), \
                mock.patch("builtins.print"), mock.patch.object(kernels.os, "geteuid", lambda: 1000):
            return kernels.fetch(kernels.Kernel(name, "p"))

    def test_what_is_here_when_nothing_comes(self):
        package = {"Package": "linux-image-1.0-new", "Version": "2", "SHA256": "0"}
        unpack = mock.Mock(side_effect=kernels.Undelivered("404 Not Found"))
        with self.assertRaisesRegex(Trouble, "kernel 1: 404 Not Found; if apt's lists are old, apt-get update helps"):
            self.fetched(package, unpack)
        with self.assertRaisesRegex(Trouble, "kernel 1: apt knows no package p: run apt-get update"):
            self.fetched({}, unpack)
        for version, release in (("0", "1.0-good"), ("1", "1.0-damaged"), ("3.unfinished", "1.0-half"), ("4", "2.0-other")):
            directory = self.directory / f"kernels/1_{version}"
            (directory / "boot").mkdir(parents=True)
            (directory / f"boot/vmlinuz-{release}").write_bytes(b"image")
            note = {"release": release, "tree": "" if "damaged" in release else kernels._tree_hash(directory)}
            (directory / kernels.UNPACKED).write_text(json.dumps(note))
        self.assertEqual(self.fetched(package, unpack).release, "1.0-good")
        self.assertEqual(self.fetched({}, unpack).release, "1.0-good")
        self.assertFalse((self.directory / "kernels/1_3.unfinished").exists())

    def test_lists_of_packages_that_are_not_there_yet(self):
        package = {"Package": "linux-image-1.0-new", "Version": "2", "SHA256": "0"}
        known = mock.Mock(side_effect=[{}, package])
        with mock.patch.multiple(kernels, CACHE=self.directory, _resolved=known,
                                 _unpack=lambda *_: kernels.Tree(None, "1.0-new")), \
                mock.patch("builtins.print"), mock.patch.object(kernels.os, "geteuid", lambda: 0), \
                mock.patch.object(kernels.subprocess, "run") as ran:
            self.assertEqual(kernels.fetch(kernels.Kernel("1", "p")).release, "1.0-new")
        self.assertEqual([call.args[0] for call in ran.call_args_list], [["apt-get", "-q", "update"]])

    def test_a_kernel_of_another_series(self):
        package = {"Package": "linux-image-6.12.1-amd64", "Version": "1", "SHA256": "0"}
        with self.assertRaisesRegex(Trouble, "kernel 6.1: p is Linux 6.12.1-amd64 on this release of Debian"):
            self.fetched(package, None, "6.1")


class CacheTest(InDirectory):
    """Who has what of the cache, and what is in it for whom."""

    def test_an_image_that_a_run_holds_stays(self):
        image = self.directory / "system-0123456789abcdef.img"
        image.write_bytes(b"image")
        descriptor = cache.hold(image)
        cache.remove_unused(image)
        self.assertEqual((image.read_bytes(), os.fstat(descriptor).st_size), (b"image", 5))
        cache._held.pop(image).close()
        cache.remove_unused(image)
        self.assertFalse(image.exists())

    def test_images_of_a_kind(self):
        def image_of(key):
            return images._cached("made-up", "label", key, lambda tree: (tree / "file").write_text(key), 0)

        def make(image, unfinished, tree, *_):
            unfinished.write_text((tree / "file").read_text())
            unfinished.rename(image)
        for name in ("made-up.tree/root", "made-up-other-0123456789abcdef.img"):
            (self.directory / name).mkdir(parents=True)
        with mock.patch.multiple(images, CACHE=self.directory, make=make):
            first = image_of("a")
            self.assertEqual((image_of("a"), first.read_text()), (first, "a"))
            second = image_of("b")
            self.assertTrue(first.exists(), "a run holds it")
            cache._held.pop(first).close()
            third = image_of("c")
        self.assertEqual(sorted(path.name for path in self.directory.iterdir()),
                         sorted(["made-up-other-0123456789abcdef.img", "made-up.lock", second.name, third.name]))
        for image in (second, third):
            cache._held.pop(image).close()

    def test_the_same_guest_twice(self):
        guests = [machine.Guest("made-up", None, self.directory) for _ in range(2)]
        guests[0].console.write_text("of an earlier run")
        with mock.patch.multiple(machine.Guest, _held_images=lambda _: [], command=lambda *_: ["sh", "-c", "echo told >&2"]):
            guests[0].boot()
            self.assertFalse(guests[0].console.exists())
            with self.assertRaisesRegex(Trouble, "guest made-up is running already"):
                guests[1].boot()
            guests[0].process.wait(10)
            self.assertEqual(guests[0].qemu_log(), ["told"])
            guests[0].end()
            guests[1].boot()
            guests[1].end()

    def test_a_checkout_with_a_blank_in_its_path(self):
        cache.check_root(pathlib.Path("/srv/net-ferry,1"))
        with self.assertRaisesRegex(Trouble, "'/srv/net ferry': a blank"):
            cache.check_root(pathlib.Path("/srv/net ferry"))

    @unittest.skipIf(os.geteuid() != 0, "root gives back")
    def test_what_root_gives_back(self):
        for name in ("guests/a.console", "system-0.img", "theirs", "build.tree/root/file", "system.tree/file", "system.lock"):
            (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / name).write_text("")
        (self.directory / "kernels").symlink_to("/nonexistent")
        (self.directory / "guests/link").symlink_to(self.directory / "theirs")
        with mock.patch.object(cache, "CACHE", self.directory), cache.locked(self.directory / "system.lock"):
            cache.give_back({"SUDO_UID": "1234", "SUDO_GID": "1235"})
        found = {str(path.relative_to(self.directory)): path.lstat().st_uid for path in self.directory.rglob("*")}
        self.assertEqual({name for name, owner in found.items() if owner == 0}, {"theirs", "system.tree", "system.tree/file"})
        self.assertEqual({owner for owner in found.values()}, {0, 1234})
        self.assertFalse((self.directory / "build.tree").exists())

    def test_a_guest_that_is_gone(self):
        ours, theirs = socket.socketpair()
        theirs.close()
        asked = channel.Channel(machine.Guest("made-up", None, self.directory))
        asked._socket = ours
        self.addCleanup(asked.close)
        with self.assertRaisesRegex(channel.Failed, "guest made-up is gone"):
            asked.ask(run=["true"])


class SecretsTest(InDirectory):
    """An image has what others may read, and what Debian wrote."""

    def test_what_is_copied(self):
        self.directory.chmod(0o755)
        modes = {"open/": 0o755, "open/file": 0o644, "open/secret": 0o640, "open/conf": 0o640, "open/changed": 0o600,
                 "shut/": 0o2770, "shut/file": 0o644, "shut/conf": 0o640, "shut/below/": 0o755, "shut/below/file": 0o644,
                 "blind/": 0o751, "blind/file": 0o644}
        for name in modes:
            path = self.directory / name
            path.mkdir() if name.endswith("/") else path.write_text(name)
        for name, mode in modes.items():
            (self.directory / name).chmod(mode)
        (self.directory / "open/link").symlink_to("secret")
        (self.directory / "shut/link").symlink_to("file")
        md5 = {str(self.directory / name): hashlib.md5(held.encode()).hexdigest()
               for name, held in (("open/conf", "open/conf"), ("shut/conf", "shut/conf"), ("open/changed", "as it was"))}
        tree = self.directory / "tree"
        tree.mkdir()
        paths = [str(path) for path in self.directory.rglob("*") if path != tree]
        with mock.patch.object(packages, "conffiles", lambda _: md5):
            images._copy_public(paths, images._vouched([]), tree)
        inside = tree / self.directory.relative_to("/")
        found = {str(path.relative_to(inside)): path.stat().st_mode & 0o7777 for path in inside.rglob("*")
                 if not path.is_symlink()}
        self.assertEqual(found, {"open": 0o755, "open/file": 0o644, "open/conf": 0o640, "shut": 0o2770, "shut/conf": 0o640,
                                 "blind": 0o751})
        self.assertEqual([path.name for path in inside.rglob("*") if path.is_symlink()], ["link"])

    def test_a_checkout_without_git(self):
        for name in ("build/bin/a", "build-vm/b", ".git/c", "lib/build/d", "e", "lib/__pycache__/f"):
            (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / name).write_text("")
        with mock.patch.multiple(images, ROOT=self.directory, CACHE=self.directory / "lib/cache"):
            self.assertEqual({str(path.relative_to(self.directory)) for path in images.checkout()}, {"lib/build/d", "e"})


if __name__ == "__main__":
    unittest.main()
