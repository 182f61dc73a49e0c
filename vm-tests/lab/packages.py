# SPDX-License-Identifier: GPL-2.0-only
"""Which files of this machine's Debian packages a guest gets: what the tests use, and all that depends on."""
import dataclasses
import os
import re
import subprocess

from . import ROOT, Trouble

# The group of scripts/deps whose packages a guest is made of.
GROUP = "vm"
# Needed to build, to read the source, or on this side of a guest only.
LEFT_OUT = re.compile(r"^(g\+\+|cmake|ninja-build|pkg-config|ccache|clang.*|.*-dev|qemu.*|busybox.*)$")
# What each of three machines is made of.
MACHINE = ("kmod", "mount", "iproute2", "ethtool", "python3", "curl", "nginx-light", "redis-server", "redis-tools", "procps")
# libllvm: PostgreSQL's JIT, which it does without.
HEAVY = ("libllvm14", "libz3-4")
USELESS = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/info/", "/usr/share/i18n/", "/usr/include/",
           "/usr/share/zoneinfo/", "/usr/lib/mysql/", "/usr/share/lintian/", "/usr/share/perl/5.36.0/unicore/", "/boot/")


@dataclasses.dataclass
class Package:
    name: str
    version: str
    depends: list[list[str]]
    provides: list[str]
    essential: bool


def _names(field: str) -> list[list[str]]:
    """'a (>= 1) | b, c' as [[a, b], [c]]."""
    return [[re.sub(r"[ (:].*", "", name.strip()) for name in part.split("|")] for part in field.split(",") if part.strip()]


def installed() -> dict[str, Package]:
    form = ("${Package}\t${db:Status-Status}\t${Version}\t${Pre-Depends},${Depends}\t${Provides}\t${Essential}\n")
    shown = subprocess.run(["dpkg-query", "-W", "-f", form], check=True, capture_output=True, text=True).stdout
    out = {}
    for line in shown.splitlines():
        name, state, version, depends, provides, essential = line.split("\t")
        if state == "installed":
            out[name] = Package(name, version, _names(depends), [part[0] for part in _names(provides)], essential == "yes")
    return out


def wanted() -> list[str]:
    listed = subprocess.run([ROOT / "scripts/deps", "--list", GROUP], check=True, capture_output=True, text=True).stdout
    names = [line.partition(":")[0].split()[0] for line in listed.splitlines() if line.strip()]
    return [name for name in names if not LEFT_OUT.match(name)]


def closure(names: list[str], known: dict[str, Package]) -> list[Package]:
    """The named packages, the essential ones, and whatever they depend on, by name."""
    providers: dict[str, str] = {}
    for package in known.values():
        for name in package.provides:
            providers.setdefault(name, package.name)
    for name in names:
        if name not in known and name not in providers:
            raise Trouble(f"package {name} is not installed: scripts/deps vm installs it")
    found: dict[str, Package] = {}
    todo = [*names, *(package.name for package in known.values() if package.essential)]
    while todo:
        name = todo.pop()
        package = known.get(name) or known.get(providers.get(name, ""))
        if package is None or package.name in found or package.name in HEAVY:
            continue
        found[package.name] = package
        for choice in package.depends:
            todo += next(([name] for name in choice if name in known or name in providers), [])
    return [found[name] for name in sorted(found)]


def conffiles(packages: list[Package]) -> dict[str, str]:
    """Configuration files that are there, with the MD5 sums of what their packages hold."""
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Conffiles}\n", *(package.name for package in packages)], check=True,
                           capture_output=True, text=True).stdout
    found = re.findall(r"^ (/.+) ([0-9a-f]{32})$", shown, re.M)
    out = {os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)): md5 for path, md5 in found}
    return {path: md5 for path, md5 in out.items() if os.path.isfile(path) and not os.path.islink(path)}


def files(packages: list[Package]) -> list[str]:
    """Absolute paths as they are on this machine: no link of a directory is left inside a path."""
    shown = subprocess.run(["dpkg-query", "-L", *(package.name for package in packages)], check=True, capture_output=True,
                           text=True).stdout
    out = set()
    parents: dict[str, str] = {}
    for line in set(shown.splitlines()):
        if not line.startswith("/") or line == "/." or line.startswith(USELESS):
            continue
        parent, name = os.path.split(line)
        if parent not in parents:
            parents[parent] = os.path.realpath(parent)
        path = os.path.join(parents[parent], name)
        if os.path.lexists(path):
            out.add(path)
    return sorted(out)
