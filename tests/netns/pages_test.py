# SPDX-License-Identifier: GPL-2.0-only
"""Whether the runner of docs/services sees a page that lies: planted pages, run by bash here. Needs no root."""
import subprocess
import unittest

import harness  # noqa: F401
from netlab import pages


class Here:
    """A machine of a page, without a namespace."""

    def __init__(self):
        self.files = {}
        self.asked = []

    def execute(self, text, root):
        self.asked.append((text, root))
        done = subprocess.run(["bash", "-c", text], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
        return done.returncode, done.stdout

    def write(self, path, content):
        self.files[path] = content


def page(*lines, language="console"):
    return "\n".join(["# A page", "", f"```{language}", *lines, "```", ""])


class PagesTest(unittest.TestCase):
    def setUp(self):
        self.machines = {"relay": Here(), "visitor": Here()}

    def run_page(self, *lines, **options):
        return pages.run("planted.md", page(*lines, **options), self.machines)

    def refused(self, part, *lines, **options):
        with self.assertRaises(pages.PageError) as caught:
            self.run_page(*lines, **options)
        self.assertIn(part, str(caught.exception))
        self.assertIn("planted.md:", str(caught.exception))

    def test_true_page(self):
        self.assertEqual(self.run_page("relay# echo a; echo 'b   c  17 ms'", "a", "b c ... ms", "visitor$ true"), 2)
        self.assertEqual(self.machines["relay"].asked, [("echo a; echo 'b   c  17 ms'", True)])
        self.assertEqual(self.machines["visitor"].asked, [("true", False)])

    def test_false_output(self):
        self.refused("does not print `two`", "visitor$ echo one", "two")
        self.refused("does not print `on`", "visitor$ echo one", "on")
        self.refused("does not print `one ... two`", "visitor$ echo one", "one ... two")
        self.refused("does not print `a.c`", "visitor$ echo abc", "a.c")

    def test_output_in_another_order_or_once_for_two(self):
        self.refused("does not print `a`", "visitor$ echo a; echo b", "b", "a")
        self.refused("does not print `a`", "visitor$ echo a", "a", "a")

    def test_dots_alone_are_any_lines(self):
        self.run_page("visitor$ seq 9", "1", "...", "9")
        self.refused("does not print `10`", "visitor$ seq 9", "1", "...", "10")

    def test_errors_count_as_output(self):
        self.run_page("visitor$ echo trouble >&2", "trouble")

    def test_failing_command(self):
        self.refused("exit 3", "visitor$ exit 3")
        self.refused("exit 127", "visitor$ no-such-program-here")

    def test_unknown_machine(self):
        self.refused("no machine relai", "relai# true")
        with self.assertRaisesRegex(pages.PageError, "planted.md:4: no machine moon"):
            pages.run("planted.md", page("# moon:/etc/x.conf", language="ini") + page("relay# true"), self.machines)

    def test_nothing_is_left_out(self):
        self.refused("no command", "# relay:/etc/x.conf", "a = 1", language="ini")
        self.refused("neither a transcript", "true", language="sh")
        self.refused("above the first prompt", "output", "visitor$ true")

    def test_commands_of_several_lines(self):
        self.run_page("visitor$ echo one \\", "  two", "one two")

    def test_files(self):
        text = page("visitor$ true") + page("# relay:/etc/x.conf", "a = 1", language="ini")
        pages.run("planted.md", text, self.machines)
        self.assertEqual(self.machines["relay"].files, {"/etc/x.conf": "# relay:/etc/x.conf\na = 1\n"})

    def test_white_space_beside_dots(self):
        self.assertTrue(pages.matches("x ... ms   leg plain", "x   0.4 ms leg   plain"))
        self.assertFalse(pages.matches("x ... ms leg tls", "x 0.4 ms leg plain"))
        self.assertTrue(pages.matches("OpenSSH_...", "OpenSSH_9.2p1"))


if __name__ == "__main__":
    unittest.main()
