#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The demo works, alone and beside a copy; it leaves nothing behind however it ends; and it fails when a step does."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

import support

RUN = str(support.ROOT / "demo/run")
SECONDS = 60
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class Demo:
    """One run, with a directory for temporary files of its own and a mark in the environment of all its processes."""

    def __init__(self, *words: str, prefix: list[str] | None = None, **env: str):
        self.mark = support.new_mark()
        self.temporary = tempfile.mkdtemp(prefix="front-")
        os.chmod(self.temporary, 0o777)
        environment = {**os.environ, "NETFERRY_BIN": str(support.TREE / "bin"), "TMPDIR": self.temporary,
                       support.MARK: self.mark, **env}
        self.process = subprocess.Popen([*(prefix or []), RUN, *words], env=environment, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        self.output = ""

    def read_until(self, text: str) -> None:
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        raise AssertionError(f"the demo never said '{text}':\n{self.output}")

    def finish(self) -> int:
        try:
            rest, _ = self.process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.output += rest
        return self.process.returncode

    def leftovers(self) -> list[str]:
        return support.marked(self.mark) + os.listdir(self.temporary)

    def clean(self) -> None:
        self.process.kill()
        self.process.communicate()
        shutil.rmtree(self.temporary, ignore_errors=True)


class DemoTest(unittest.TestCase):
    def demo(self, *words: str, **more) -> Demo:
        demo = Demo(*words, **more)
        self.addCleanup(demo.clean)
        return demo

    def assert_nothing_left(self, demo: Demo) -> None:
        if not support.wait_until(lambda: not demo.leftovers(), 5):
            self.fail(f"left behind: {demo.leftovers()}")

    def assert_worked(self, demo: Demo) -> None:
        self.assertEqual(demo.finish(), 0, demo.output)
        for text in ("Grace", "hello from", "it is raining at home", "What you just saw", "For real"):
            self.assertIn(text, demo.output)
        self.assert_nothing_left(demo)

    def test_two_at_once(self):
        one, other = self.demo(), self.demo()
        self.assert_worked(one)
        self.assert_worked(other)
        for demo in (one, other):
            self.assertRegex(demo.output, r"client1 +connected .* 192\.0\.2\.44 ", "the relay sees the router's address")

    def test_loopback_as_an_ordinary_user(self):
        demo = self.demo("--single", prefix=NOBODY, HOME="/nonexistent")
        self.assert_worked(demo)
        self.assertIn("Not shown:", demo.output)

    def test_where_namespaces_are_not_allowed(self):
        demo = self.demo(prefix=["setpriv", "--bounding-set=-sys_admin,-net_admin"])
        self.assert_worked(demo)
        self.assertIn("this system does not allow network namespaces", demo.output)

    def test_killed_at_any_moment(self):
        for moment in support.some_of("(starting both", "connected to", "running"):
            with self.subTest(moment):
                demo = self.demo()
                demo.read_until(moment)
                demo.process.kill()
                self.assert_nothing_left(demo)

    def test_killed_over_loopback(self):
        demo = self.demo("--single", prefix=NOBODY, HOME="/nonexistent")
        demo.read_until("connected to")
        demo.process.kill()
        self.assert_nothing_left(demo)

    def test_terminated(self):
        for words in support.some_of([], ["--single"]):
            with self.subTest(words):
                demo = self.demo(*words)
                demo.read_until("connected to")
                demo.process.send_signal(signal.SIGTERM)
                self.assertEqual(demo.finish(), 128 + signal.SIGTERM, demo.output)
                self.assert_nothing_left(demo)

    def test_interrupted_as_a_terminal_does(self):
        for words in support.some_of([], ["--single"]):
            with self.subTest(words):
                demo = self.demo(*words)
                demo.read_until("connected to")
                os.killpg(demo.process.pid, signal.SIGINT)
                self.assertEqual(demo.finish(), 130, demo.output)
                self.assertIn("interrupted; everything is stopped and removed", demo.output)
                self.assertNotIn("Traceback", demo.output)
                self.assert_nothing_left(demo)

    def test_programs_that_are_not_built(self):
        demo = self.demo(NETFERRY_BIN="/nonexistent")
        self.assertEqual(demo.finish(), 1)
        self.assertIn("/nonexistent/nfrelayd is not there: make build makes it", demo.output)

    def test_a_step_that_does_not_work_fails(self):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            for name in ("nfrelayd", "nfagent"):
                os.symlink(support.TREE / "bin" / name, f"{directory}/{name}")
            wrong = pathlib.Path(directory, "nfctl")
            wrong.write_text(f'#!/bin/sh\n[ "$1" = map ] && exit 0\nexec {support.TREE}/bin/nfctl "$@"\n')
            wrong.chmod(0o755)
            demo = self.demo(NETFERRY_BIN=directory)
            self.assertEqual(demo.finish(), 1, demo.output)
            self.assertIn("relay$ nfctl map 8888 client1:3306: expected an answer like 'target answers'", demo.output)
            self.assertNotIn("What you just saw", demo.output)
            self.assert_nothing_left(demo)

    def test_a_full_disk_is_named(self):
        small = tempfile.mkdtemp(prefix="front-small-")
        self.addCleanup(os.rmdir, small)
        mount = f'mount -t tmpfs -o size=4m none {small} && exec "$0" "$@"'
        demo = self.demo("--single", prefix=["unshare", "--mount", "sh", "-c", mount], TMPDIR=small)
        self.assertEqual(demo.finish(), 1, demo.output)
        self.assertRegex(demo.output, r"has \d MB free, and the demo needs 150 MB")
        self.assertNotIn("Traceback", demo.output)


if __name__ == "__main__":
    if lack := support.lacks_namespaces():
        support.skip_without(lack)
    support.main()
