# SPDX-License-Identifier: GPL-2.0-only
"""The real #include edges between rooms equal the DEPS and LIBS that CMakeLists.txt spells with nfr_room().

Also: includes go downwards only, a third-party header is seen only by the rooms listed here, rooms without I/O see
no system call, contracts include nothing of ours, and the unit tests of a room see that room and what is below it.
"""
import re

from cxx_text import includes
from tree import Finding, main_of

# Third-party headers: prefix -> (library as in LIBS, rooms that may see it; None: every room, it comes with base).
LIBRARIES = {
    "fmt/": ("fmt::fmt", None),
    "spdlog/": ("spdlog::spdlog", None),
    "nlohmann/": ("nlohmann_json::nlohmann_json", {"proto", "control", "admin", "agent", "relayd", "nfctl"}),
    "toml++/": ("tomlplusplus::tomlplusplus", {"config", "migrate"}),
    "yaml-cpp/": ("yaml-cpp", {"migrate"}),
    "liburing": ("PkgConfig::LIBURING", {"io"}),
    "openssl/": ("OpenSSL::SSL", {"tls"}),
    "ares": ("PkgConfig::CARES", {"agent"}),
    "sqlite3": ("SQLite::SQLite3", {"store"}),
    "sys/capability.h": ("PkgConfig::LIBCAP", {"holder"}),
    "cxxopts": ("cxxopts::cxxopts", {"agent", "relayd", "nfctl"}),
    "gtest/": ("", set()),
    "gmock/": ("", set()),
}
# Link lines without a header of their own.
COMPANIONS = {"OpenSSL::Crypto": "OpenSSL::SSL", "Threads::Threads": None}
# Rooms that decide and never do: no system call is in reach. <sys/un.h> is a layout only.
WITHOUT_IO = {"core", "proto", "control"}
IO_HEADERS = re.compile(r"^(sys/(?!un\.h)|netinet/|arpa/|linux/|unistd\.h|fcntl\.h|poll\.h|netdb\.h|dirent\.h|fstream|thread)")
SYSTEM_HEADER = re.compile(
    r"^([a-z_]+|(sys|netinet|arpa|linux|net|bits)/[\w/.]+\.h"
    r"|(unistd|fcntl|poll|netdb|dirent|grp|pwd|ifaddrs|getopt|signal|sched|pthread|syslog|termios|glob|spawn)\.h)$"
)
NAMED_LEVEL = re.compile(r"^\s*#\s*level\s+(\d+)", re.MULTILINE)
ROOM = re.compile(r"nfr_room\(\s*(\w+)([^)]*)\)")


class Room:
    def __init__(self, name, level, line, words):
        self.name, self.level, self.line = name, level, line
        self.deps, self.libs, into = [], [], None
        for word in words.split():
            into = {"DEPS": self.deps, "LIBS": self.libs}.get(word, into)
            if word not in ("DEPS", "LIBS") and into is not None:
                into.append(word)


def rooms_of(cmake):
    """Rooms by name, in the order of CMakeLists.txt; the level is that of the last `# level N` before."""
    levels = [(match.start(), int(match[1])) for match in NAMED_LEVEL.finditer(cmake)]
    rooms = {}
    for match in ROOM.finditer(cmake):
        level = [number for start, number in levels if start < match.start()][-1:] or [None]
        rooms[match[1]] = Room(match[1], level[0], cmake.count("\n", 0, match.start()) + 1, match[2])
    return rooms


def declared_downwards(rooms):
    """A DEP stands before its room in CMakeLists.txt (no circle) and on no higher level."""
    seen = set()
    for room in rooms.values():
        if room.level is None:
            yield Finding("CMakeLists.txt", room.line, f"room {room.name} stands under no '# level N' comment")
        for dep in room.deps:
            if dep not in seen:
                yield Finding("CMakeLists.txt", room.line, f"{room.name} -> {dep}: the DEP is not a room above this line")
            elif None not in (room.level, rooms[dep].level) and rooms[dep].level > room.level:
                yield Finding("CMakeLists.txt", room.line, f"{room.name} -> {dep}: an edge upwards")
        seen.add(room.name)


def own_edge(path, line, header, room, rooms):
    """An #include "..." of a room: of itself, of a DEP, or of a contract."""
    target = header.split("/")[0]
    if target in ("nfr", room.name):
        return None
    if target not in rooms:
        return Finding(path, line, f'"{header}" is in no room; headers are named "room/file.hpp"')
    if target not in room.deps:
        return Finding(path, line, f"{room.name} includes {header}, but CMakeLists.txt gives it no DEP {target}")
    return None


def library_of(header):
    return next((prefix for prefix in LIBRARIES if header.startswith(prefix)), None)


def system_edge(path, line, header, room):
    prefix = library_of(header)
    if prefix is None:
        if not SYSTEM_HEADER.match(header):
            return Finding(path, line, f"<{header}> is not in the table of libraries in tests/check/edges.py")
        if room.name in WITHOUT_IO and IO_HEADERS.match(header):
            return Finding(path, line, f"{room.name} does no I/O, so it cannot include <{header}>")
        return None
    library, allowed = LIBRARIES[prefix]
    if allowed is not None and room.name not in allowed:
        return Finding(path, line, f"<{header}> is for {', '.join(sorted(allowed)) or 'tests'} only, not for {room.name}")
    if allowed is not None and library not in room.libs:
        return Finding(path, line, f"{room.name} includes <{header}>, but CMakeLists.txt gives it no LIB {library}")
    return None


def unused(room, headers):
    """DEPS and LIBS of a room that none of its includes needs."""
    for dep in room.deps:
        if not any(header.startswith(dep + "/") for header in headers):
            yield Finding("CMakeLists.txt", room.line, f"{room.name} has the DEP {dep}, which none of its files includes")
    used = {LIBRARIES[prefix][0] for prefix in map(library_of, headers) if prefix}
    for lib in room.libs:
        needed = COMPANIONS.get(lib, lib)
        if needed is not None and needed not in used:
            yield Finding("CMakeLists.txt", room.line, f"{room.name} has the LIB {lib}, which none of its files includes")


def room_edges(tree, rooms):
    headers = {name: set() for name in rooms}
    for path in tree.cxx():
        parts = path.split("/")
        if parts[0] != "userspace":
            continue
        if len(parts) < 3 or parts[1] not in rooms:
            yield Finding(path, 1, "is in no room of CMakeLists.txt")
            continue
        room = rooms[parts[1]]
        for line, header, quoted in includes(tree.text(path)):
            headers[room.name].add(header)
            yield own_edge(path, line, header, room, rooms) if quoted else system_edge(path, line, header, room)
    for room in rooms.values():
        yield from unused(room, headers[room.name])


def contracts(tree):
    """include/nfr is for both parties of a contract: it stands alone, apart from itself."""
    for path in tree.cxx():
        if path.startswith("include/"):
            for line, header, quoted in includes(tree.text(path)):
                if (quoted and not header.startswith("nfr/")) or (not quoted and library_of(header)):
                    yield Finding(path, line, f"a contract includes {header}; contracts include nothing of ours or others")


def below(room, rooms):
    """The room and everything under it."""
    reached, queue = set(), [room]
    while queue:
        name = queue.pop()
        if name in rooms and name not in reached:
            reached.add(name)
            queue += rooms[name].deps
    return reached


def test_edges(tree, rooms):
    for path in tree.cxx():
        parts = path.split("/")
        if parts[:2] != ["tests", "unit"] or len(parts) < 4 or parts[2] not in rooms:
            continue
        reach = below(parts[2], rooms)
        for line, header, quoted in includes(tree.text(path)):
            target = header.split("/")[0]
            if quoted and target in rooms and "/" in header and target not in reach:
                yield Finding(path, line, f"a unit test of {parts[2]} includes {header}, which that room cannot reach")


def check(tree):
    rooms = rooms_of(tree.text("CMakeLists.txt"))
    found = [*declared_downwards(rooms), *room_edges(tree, rooms), *contracts(tree), *test_edges(tree, rooms)]
    return [finding for finding in found if finding]


if __name__ == "__main__":
    main_of(check)
