#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""scripts/deps and scripts/as-root with stand-ins for apt-get, dpkg-query and sudo: what is said, asked for and put
back. Installs nothing, needs no root."""
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

import support

DEPS = str(support.ROOT / "scripts/deps")
TOOLS = ("sh", "bash", "cat", "awk", "sed", "cut", "id", "readlink", "dirname", "env")


class Fixture(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.directory = pathlib.Path(holder.name)
        for tool in TOOLS:
            found = next(f"{place}/{tool}" for place in ("/usr/bin", "/bin") if os.path.exists(f"{place}/{tool}"))
            os.symlink(found, self.directory / tool)

    def program(self, name: str, body: str) -> None:
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def ordinary_user(self) -> None:
        (self.directory / "id").unlink()
        self.program("id", "echo 1000")

    def run_here(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(words, env={"PATH": str(self.directory)}, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False)


class DepsTest(Fixture):
    def installed(self, *names: str) -> None:
        self.program("dpkg-query", "\n".join(f"echo 'installed {name}'" for name in names))
        self.program("apt-get", "echo APT $*; exit 0")

    def wanted(self, *groups: str) -> list[str]:
        listed = self.run_here(DEPS, "--list", *groups).stdout
        return [line.split()[0] for line in listed.splitlines()]

    def test_silent_and_quick_when_all_is_there(self):
        self.installed(*self.wanted("test"))
        begun = time.monotonic()
        done = self.run_here(DEPS, "build", "test")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertLess(time.monotonic() - begun, 1)

    def test_architecture_in_a_name_is_no_other_package(self):
        self.installed(*(f"{name}:amd64" for name in self.wanted("demo")))
        self.assertEqual(self.run_here(DEPS, "demo").stdout, "")

    def test_names_what_is_missing_and_asks_sudo_for_just_that(self):
        self.ordinary_user()
        self.program("sudo", f'[ "$1" = -n ] && exit 0; shift; echo "SUDO $*" >>{self.directory}/asked')
        self.installed(*(name for name in self.wanted("demo") if name not in ("redis-server", "mariadb-client")))
        done = self.run_here(DEPS, "demo")
        self.assertIn("redis-server           a service behind the agent", done.stdout)
        self.assertLess(done.stdout.index("Installing what is missing"), done.stdout.index("through sudo"))
        self.assertEqual((self.directory / "asked").read_text(), f"SUDO {DEPS} --install redis-server mariadb-client\n")
        # The stand-in installed nothing, and that is noticed.
        self.assertEqual(done.returncode, 1)
        self.assertIn("apt-get did not install", done.stdout)

    def test_without_apt_names_what_is_missing_and_stops(self):
        done = self.run_here(DEPS, "demo")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no apt-get here, and this is missing", done.stdout)
        self.assertIn("redis-tools", done.stdout)
        for package in ("postgresql ", "postgresql-client", "x11vnc", "vncsnapshot", "tightvncpasswd"):
            self.assertIn(f"  {package}", self.run_here(DEPS, "test").stdout)

    def test_without_apt_a_program_stands_for_its_package(self):
        for name in ("haproxy", "tinyproxy"):
            self.program(name, "true")
        done = self.run_here(DEPS, "test")
        self.assertIn("there is no apt-get here", done.stdout)
        self.assertNotRegex(done.stdout, "(?m)^ *(haproxy|tinyproxy)")
        self.assertIn("haproxy", self.wanted("test"))

    def test_where_nobody_can_be_root_the_demo_needs_no_namespaces(self):
        self.ordinary_user()
        self.assertNotIn("nftables", self.wanted("demo"))
        self.assertIn("mariadb-server", self.wanted("demo"))
        self.program("sudo", "true")
        self.assertIn("nftables", self.wanted("demo"))

    def test_unknown_group(self):
        done = self.run_here(DEPS, "--list", "everything")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("'everything' is no group: build, agent-build, demo, test, vm, fuzz or bench", done.stdout)


class AsRootTest(Fixture):
    HELPER = str(support.ROOT / "scripts/as-root")

    def test_without_sudo_says_so(self):
        self.ordinary_user()
        done = self.run_here(self.HELPER, "make tea", "true")
        self.assertEqual(done.returncode, 77)
        self.assertIn("make tea needs root, and there is no sudo here", done.stdout)

    def test_says_it_before_sudo_asks(self):
        self.ordinary_user()
        self.program("sudo", '[ "$1" = -n ] && exit 1; echo "[sudo] password"')
        done = self.run_here(self.HELPER, "make tea", "true")
        self.assertEqual(done.stdout.splitlines(),
                         ["To make tea this needs root; sudo asks for your password now.", "[sudo] password"])

    def test_root_uses_no_sudo(self):
        (self.directory / "id").unlink()
        self.program("id", "echo 0")
        self.program("sudo", "echo SUDO")
        self.program("tea", 'echo "tea for $1"')
        self.assertEqual(self.run_here(self.HELPER, "make tea", "tea", "two").stdout, "tea for two\n")


if __name__ == "__main__":
    support.main()
