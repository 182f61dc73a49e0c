# SPDX-License-Identifier: GPL-2.0-only
"""The completion scripts: bash offers what nfctl offers; zsh and fish, where they are, take theirs without complaint."""
import os
import shutil
import subprocess
import unittest

from support import ROOT, TREE

SCRIPTS = ROOT / "packaging" / "completion"
# No relay is there: commands are completed, names are not, and nothing is complained about.
PLACE = dict(os.environ, PATH=f"{TREE / 'bin'}:{os.environ['PATH']}", NETFERRY_SOCKET="/nonexistent/ctl.sock")
TYPE = """
source "$1"
compopt() { echo "compopt $*"; }
COMP_LINE=$2 COMP_POINT=${#2}
_nfctl
printf '%s\\n' "${COMPREPLY[@]}"
"""


def bash(line: str) -> list[str]:
    done = subprocess.run(["bash", "-c", TYPE, "bash", str(SCRIPTS / "nfctl.bash"), line], env=PLACE,
                          capture_output=True, text=True, timeout=20, check=True)
    assert done.stderr == "", done.stderr
    return done.stdout.split("\n")[:-1]


class Completion(unittest.TestCase):
    def test_bash_offers_commands_verbs_options_and_values(self):
        self.assertEqual(bash("nfctl ma"), ["map", "maps"])
        self.assertIn("rename", bash("nfctl agent re"))
        self.assertEqual(bash("nfctl map --max-p"), ["--max-per-source"])
        self.assertEqual(bash("nfctl map 8888 client1:1 --leg "), ["plain", "tls"])

    def test_bash_leaves_files_to_the_shell(self):
        self.assertEqual(bash("nfctl apply "), ["compopt -o default", ""])

    def test_bash_is_silent_without_a_relay(self):
        self.assertEqual(bash("nfctl unmap "), [""])

    def test_the_others_can_be_read(self):
        for shell, script in ("bash", "nfctl.bash"), ("zsh", "_nfctl"), ("fish", "nfctl.fish"):
            if shutil.which(shell):
                done = subprocess.run([shell, "-n", str(SCRIPTS / script)], capture_output=True, text=True, timeout=20)
                self.assertEqual((done.returncode, done.stderr), (0, ""), shell)


if __name__ == "__main__":
    unittest.main()
