# SPDX-License-Identifier: GPL-2.0-only
"""Shows that each check goes red: a small made-up tree that is green, then one planted violation at a time.

Every check is run as ctest runs it, as a program with the tree's root as its argument.
"""
import hashlib
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
SPDX = "SPDX-License-Identifier: GPL-2.0-only"
CMAKE = """
# level 0
nfr_room(base LIBS fmt::fmt)
# level 1
nfr_room(net   DEPS base)
nfr_room(core  DEPS base net)
# level 2
nfr_room(tls   DEPS base core LIBS OpenSSL::SSL OpenSSL::Crypto)
# level 5
nfr_room(relayd DEPS base
         tls LIBS cxxopts::cxxopts)
"""


def source(*lines):
    return "\n".join([f"// {SPDX}", "// A made-up file of the self-test.", *lines, ""])


GOOD = {
    "CMakeLists.txt": CMAKE,
    ".clang-format": "BasedOnStyle: Google\nColumnLimit: 120\n",
    "include/nfr/wire/wire.h": f"/* {SPDX} */\n/* A made-up contract. */\n#ifndef NFR_WIRE_H\n#define NFR_WIRE_H\n#endif\n",
    "userspace/base/text.hpp": source("#pragma once"),
    "userspace/base/text.cpp": f'// {SPDX}\n#include "base/text.hpp"\n\n#include <fmt/format.h>\n\n#include <vector>\n',
    "userspace/net/address.hpp": source("#pragma once", "#include <sys/socket.h>", "", '#include "base/text.hpp"'),
    "userspace/core/nouns.cpp": source('#include "base/text.hpp"', '#include "net/address.hpp"', '#include "nfr/wire/wire.h"'),
    "userspace/tls/tls.cpp": source("#include <openssl/ssl.h>", "", '#include "base/text.hpp"', '#include "core/nouns.hpp"'),
    "userspace/relayd/main.cpp": source("#include <cxxopts.hpp>", "", '#include "base/text.hpp"', '#include "tls/tls.hpp"'),
    "tests/unit/tls/tls_test.cpp": source("#include <gtest/gtest.h>", "", '#include "net/address.hpp"'),
    "scripts/run.sh": f"#!/bin/sh\n# {SPDX}\n# A made-up script for the self-test.\ntrue\n",
    "scripts/tool": f'#!/usr/bin/env python3\n# {SPDX}\n"""A made-up tool of the self-test."""\n',
    "README.md": "# Made up\n\n## Two words, here\n\n[page](docs/page.md) [far](https://example.com) `[no](link)`\n",
    "docs/page.md": "[back](../README.md#two-words-here) [room](../userspace/base)\n```\n[no](link)\n```\n",
    "tests/fuzz/corpus/line/todo": "TO" + "DO is only data here\n",
}


def cxx_function(body_lines, head="int main()"):
    return source("", head + " {", *["  ++counter;"] * body_lines, "}")


class Planted(unittest.TestCase):
    maxDiff = None

    def run_check(self, name, planted=None, removed=(), **environment):
        """Exit code and output of a check over the good tree with some files changed."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**GOOD, **(planted or {})}.items():
                if path in removed:
                    continue
                file = Path(root) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            command = [sys.executable, "-B", str(HERE / f"{name}.py"), root]
            run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
        return run.returncode, run.stdout + run.stderr

    def green(self, name, planted=None, removed=()):
        code, output = self.run_check(name, planted, removed)
        self.assertEqual((code, output), (0, "0 finding(s)\n"))

    def red(self, name, planted, *expected, removed=()):
        """The check fails, names each expected text, and finds nothing else."""
        code, output = self.run_check(name, planted, removed)
        self.assertEqual(code, 1, output)
        for text in expected:
            self.assertIn(text, output)
        self.assertEqual(len(output.splitlines()), len(expected) + 1, output)


class Frozen(Planted):
    PEER = source("int frozen;")
    SUM = hashlib.sha256(PEER.encode()).hexdigest()
    KEPT = {"tests/harness/old/peer.cpp": PEER, "tests/harness/old/SHA256SUMS": f"{SUM}  peer.cpp\n"}

    def test_good(self):
        self.green("frozen", self.KEPT)

    def test_other_sums_or_none(self):
        peer = {"tests/harness/wire_v1/codec.cpp": self.PEER}
        self.red("frozen", peer, "wire_v1/SHA256SUMS:0: is not the one in frozen.py")
        sums = {"tests/harness/wire_v1/SHA256SUMS": f"{self.SUM}  codec.cpp\n\n"}
        self.red("frozen", {**peer, **sums}, "wire_v1/SHA256SUMS:0: is not the one in frozen.py")

    def test_changed_new_and_gone(self):
        self.red("frozen", {**self.KEPT, "tests/harness/old/peer.cpp": self.PEER + "\n"}, "peer.cpp:0: changed; ")
        self.red("frozen", {**self.KEPT, "tests/harness/old/more.cpp": self.PEER}, "more.cpp:0: is new; ")
        self.red("frozen", self.KEPT, "peer.cpp is gone; ", removed=["tests/harness/old/peer.cpp"])


class Edges(Planted):
    def test_good(self):
        self.green("edges")

    def test_include_without_a_dep(self):
        text = source('#include "core/nouns.hpp"', '#include "base/text.hpp"', "#include <cxxopts.hpp>", '#include "tls/tls.hpp"')
        self.red("edges", {"userspace/relayd/main.cpp": text}, "relayd/main.cpp:3: relayd includes core/nouns.hpp")

    def test_include_upwards(self):
        text = source('#include "base/text.hpp"', '#include "tls/tls.hpp"')
        self.red("edges", {"userspace/net/address.hpp": text}, "net includes tls/tls.hpp")

    def test_dep_upwards_and_out_of_order(self):
        late = CMAKE.replace("nfr_room(net   DEPS base)", "nfr_room(net   DEPS base relayd)")
        text = source('#include "base/text.hpp"', '#include "relayd/app.hpp"')
        self.red("edges", {"CMakeLists.txt": late, "userspace/net/a.hpp": text}, "net -> relayd: the DEP is not a room above")
        upwards = CMAKE.replace("# level 2", "# level 0")
        self.red("edges", {"CMakeLists.txt": upwards}, "tls -> core: an edge upwards")

    def test_dep_nobody_uses(self):
        more = CMAKE.replace("DEPS base\n         tls", "DEPS base core\n         tls")
        self.red("edges", {"CMakeLists.txt": more}, "relayd has the DEP core, which none")

    def test_a_commented_include_is_no_use(self):
        text = source('// #include "net/address.hpp"', '#include "base/text.hpp"', "/*", '#include "net/address.hpp"', "*/")
        self.red("edges", {"userspace/core/nouns.cpp": text}, "core has the DEP net, which none")

    def test_library_in_the_wrong_room(self):
        text = source("#include <openssl/evp.h>", "#include <sqlite3.h>")
        self.red("edges", {"userspace/base/more.cpp": text}, "<openssl/evp.h> is for tls only", "<sqlite3.h> is for store only")

    def test_library_without_its_link_line(self):
        less = CMAKE.replace(" LIBS cxxopts::cxxopts", "")
        self.red("edges", {"CMakeLists.txt": less}, "gives it no LIB cxxopts::cxxopts")

    def test_library_nobody_uses(self):
        more = CMAKE.replace("LIBS fmt::fmt", "LIBS fmt::fmt spdlog::spdlog")
        self.red("edges", {"CMakeLists.txt": more}, "base has the LIB spdlog::spdlog, which none")

    def test_unknown_library(self):
        text = source("#include <boost/asio.hpp>", "#include <curl/curl.h>")
        self.red("edges", {"userspace/base/more.cpp": text}, "<boost/asio.hpp> is not in", "<curl/curl.h> is not in")

    def test_test_headers_in_the_product(self):
        self.red("edges", {"userspace/base/more.cpp": source("#include <gtest/gtest.h>")}, "is for tests only")

    def test_io_in_a_room_without(self):
        self.red("edges", {"userspace/core/more.cpp": source("#include <unistd.h>")}, "core does no I/O")

    def test_file_outside_the_rooms(self):
        planted = {"userspace/stray/a.cpp": source(), "userspace/b.cpp": source(), "userspace/base/c.cpp": source('#include "d.hpp"')}
        self.red("edges", planted, "userspace/stray/a.cpp:1: is in no room", "userspace/b.cpp:1: is in", '"d.hpp" is in no room')

    def test_contract_that_includes_a_room(self):
        text = GOOD["include/nfr/wire/wire.h"] + '#include "base/text.hpp"\n#include <fmt/format.h>\n'
        self.red("edges", {"include/nfr/wire/wire.h": text}, "a contract includes base/text.hpp", "a contract includes fmt/")

    def test_unit_test_that_reaches_too_far(self):
        self.red("edges", {"tests/unit/net/a_test.cpp": source('#include "core/nouns.hpp"')}, "a unit test of net includes core/")


class Sizes(Planted):
    def test_good(self):
        self.green("sizes", {"userspace/base/long.cpp": cxx_function(68)})

    def test_long_function(self):
        self.red("sizes", {"userspace/base/long.cpp": cxx_function(69)}, "long.cpp:4: main has 71 lines")

    def test_long_functions_of_every_shape(self):
        heads = {
            "Foo::Foo(int a) : a_{a}, b_(b),": "Foo::Foo",
            "template <class T>\nauto f(T t) -> decltype(t)": "f",
            "const auto lambda = [](int a)": "const auto lambda",
            "TEST_F(Suite, Case)": "TEST_F",
            "Foo::Foo(int b) : x_([b] { return b; }), a_{1}": "Foo::Foo",
            "struct Foo make(struct stat* s)": "make",
            "bool operator==(const A& a, const A& b)": "operator==",
        }
        for head, name in heads.items():
            text = cxx_function(80, head.removesuffix(",") + (" c_{}" if head.endswith(",") else ""))
            with self.subTest(head):
                self.red("sizes", {"userspace/base/long.cpp": text}, f"{name}")

    def test_long_method_in_a_class_in_a_namespace(self):
        body = ["namespace a::b {", "template <class T>", "class C : public D<T> {", " int f() const override {"]
        text = source(*body, *["  ++x;"] * 70, " }", "};", "}")
        self.red("sizes", {"userspace/base/long.hpp": text}, "long.hpp:6: f has 72 lines")

    def test_long_types_tables_and_namespaces_are_no_functions(self):
        rows = ["  {1, 2},"] * 90
        text = source("namespace a {", "const Row kRows[] = {", *rows, "};", "enum class E {", *["  k,"] * 90, "};", "}")
        self.green("sizes", {"userspace/base/long.cpp": text})

    def test_braces_in_literals_and_comments_do_not_count(self):
        odd = ["  a = \"}\"; b = '}'; c = 60'000; // }", '  d = R"x(}}}"})x"; /* } */', "#define X }"]
        text = source("void f() {", *odd, *["  ++x;"] * 70, "}")
        self.red("sizes", {"userspace/base/long.cpp": text}, "long.cpp:3: f has 75 lines")

    def test_long_python_and_shell_functions(self):
        python = f"# {SPDX}\n\nclass A:\n    def f(self):\n" + "        self.x = 1\n" * 70
        shell = f"# {SPDX}\nf() {{\n" + "  true\n" * 35 + "cat <<END\n}\nEND\n" + "  true\n" * 35 + "}\n"
        planted = {"tests/a.py": python, "scripts/b.sh": shell}
        self.red("sizes", planted, "tests/a.py:4: f has 71 lines", "scripts/b.sh:2: f has 75 lines")

    def test_long_files(self):
        planted = {
            "userspace/base/a.cpp": source(*["int x;"] * 499),
            "bpf/b.c": source(*["int x;"] * 399),
            "scripts/c": "#!/bin/bash\n" + "true\n" * 500,
            "cmake/d.cmake": "set(x 1)\n" * 501,
        }
        self.red("sizes", planted, "a.cpp:501: the file", "b.c:401: the file", "c:501: the file", "d.cmake:501: the file")

    def test_python_that_does_not_parse(self):
        self.red("sizes", {"tests/a.py": "def f(:\n"}, "cannot be parsed")


class Headers(Planted):
    def test_good(self):
        self.green("headers")

    def test_no_licence(self):
        planted = {
            "userspace/base/a.cpp": "// Something that has no licence.\n// Really not one.\n",
            "scripts/b.sh": "#!/bin/sh\n# Something that has no licence.\n# Really not one.\n",
        }
        self.red("headers", planted, "a.cpp:1: the first line must be '// SPDX", "b.sh:2: the first line must be '# SPDX")

    def test_no_purpose(self):
        planted = {
            "userspace/base/a.hpp": f"// {SPDX}\n#pragma once\n",
            "userspace/base/b.cpp": f"// {SPDX}\n#include <vector>\n",
            "scripts/c.py": f"# {SPDX}\nimport os\n",
        }
        self.red("headers", planted, "a.hpp:2: the file does", "b.cpp:2: the file does", "c.py:2: the file does")

    def test_no_guard(self):
        planted = {"userspace/base/a.hpp": source(), "include/nfr/wire/b.h": f"/* {SPDX} */\n/* A contract without. */\n"}
        self.red("headers", planted, "a.hpp:1: #pragma once is missing", "b.h:1: an include guard")


class Standalone(Planted):
    def test_good(self):
        self.green("standalone", {"a": "mktemp /tmp/a.XXXXXX in a framework/directory\n"})

    def test_names_a_place_outside(self):
        planted = {"docs/a.md": "see .." + "/shared/x\n", "tests/fuzz/corpus/line/b": "/wo" + "rk/x\n"}
        self.red("standalone", planted, "docs/a.md:1: mentions", "corpus/line/b:1: mentions")

    def test_a_merge_that_is_not_decided(self):
        self.red("standalone", {"docs/a.md": "a\n" + "<" * 7 + " HEAD\nb\n"}, "docs/a.md:2: a merge is not decided")

    def test_half_done(self):
        for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X"):
            self.red("standalone", {"userspace/base/a.cpp": source("", f"// {word}: later")}, f"a.cpp:4: {word}")


class Format(Planted):
    def setUp(self):
        if self.run_check("format")[0] == 77:
            self.skipTest("capability clang-format-14 is missing")

    def test_good(self):
        self.green("format")

    def test_not_formatted(self):
        self.red("format", {"userspace/base/a.cpp": source("int  x ;")}, "a.cpp:3: not clang-formatted")

    def test_no_tool_is_a_skip_unless_required(self):
        self.assertEqual(self.run_check("format", PATH="/nonexistent")[0], 77)
        self.assertEqual(self.run_check("format", PATH="/nonexistent", NFR_REQUIRE="a,clang-format-14")[0], 1)


class Links(Planted):
    def test_good(self):
        self.green("links")

    def test_broken(self):
        text = "[a](nowhere.md)\n\n[b](../README.md#no-such-heading)\n\n[c]: gone.svg\n![d](/absolute.png)\n[e](#none)\n"
        self.red("links", {"docs/page.md": text, "README.md": GOOD["README.md"]}, "page.md:1: the link nowhere.md leads to no file",
                 "page.md:3: the link ../README.md#no-such-heading leads to no heading", "page.md:5: the link gone.svg",
                 "page.md:6: the link /absolute.png is absolute", "page.md:7: the link #none leads to no heading")


if __name__ == "__main__":
    unittest.main()
