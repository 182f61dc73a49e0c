# SPDX-License-Identifier: GPL-2.0-only
"""A namespace of the lab as a machine of its own: host name, /etc/hosts, users, configuration, home directories, /run.

/etc, /var, /root and /home are overlays in a mount namespace that one waiting process holds, so that a test may write
there as an administrator would; nothing of it reaches the machine that the test runs on. /tmp is shared.
"""
import os
import re
import shlex
import subprocess

from .case import Skip, check
from .daemons import binary
from .process import Process

USER = "ann"  # who works at a `$` prompt
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PREPARE = r"""set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/shm
for tree in etc var root home; do
  mkdir -p /run/.own/$tree/new /run/.own/$tree/work
  chmod --reference=/$tree /run/.own/$tree/new
  mount -t overlay overlay -o lowerdir=/$tree,upperdir=/run/.own/$tree/new,workdir=/run/.own/$tree/work /$tree
done
hostname "$1"
printf '%s\n' "127.0.0.1 localhost" "127.0.1.1 $1" "$2" >/etc/hosts
useradd --create-home --shell /bin/bash "$3"
echo prepared
exec sleep infinity
"""


class Machine:
    """`hosts` are more lines of /etc/hosts. `services` maps the names of units to functions that start them."""

    def __init__(self, lab, name, namespace, hosts="", services=None):
        self.lab, self.name, self.namespace = lab, name, namespace
        self.services = services or {}
        self.running = {}
        words = ["unshare", "--mount", "--uts", "sh", "-c", PREPARE, "sh", name, hosts, USER]
        self.holder = lab.track(Process(f"machine-{name}", namespace, words, lab.path(f"machine-{name}.log")))
        try:
            self.holder.wait_log("prepared\n")
        except AssertionError as problem:
            if "mount:" in self.holder.log():
                raise Skip(f"overlay-mounts ({self.holder.log().strip()})") from problem
            raise

    def enter_words(self):
        """In front of a command's words; the process that results is the command itself."""
        return ["nsenter", f"--net={self.namespace.path}", f"--mount=/proc/{self.holder.pid}/ns/mnt",
                f"--uts=/proc/{self.holder.pid}/ns/uts"]

    def words(self, *words, user="root"):
        """What runs a command as that user, with that user's environment and no other."""
        home = {"root": "/root", USER: f"/home/{USER}"}.get(user, "/")  # services have none
        path = f"{os.path.dirname(binary('nfctl'))}:{PATH}"
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--pdeathsig=KILL"]
        return [*become, "env", "-i", f"--chdir={home}", f"HOME={home}", f"USER={user}", f"LOGNAME={user}", f"PATH={path}",
                "LC_ALL=C.UTF-8", *map(str, words)]

    def ask(self, *words, user=USER, text=None, timeout=60):
        """A command's end: code, and output and errors in the order in which they came."""
        return subprocess.run([*self.enter_words(), *self.words(*words, user=user)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout, input=text or "")

    def do(self, *words, **options):
        """A command that must succeed; its output."""
        done = self.ask(*words, **options)
        if done.returncode != 0:
            raise AssertionError(f"{self.name}: {shlex.join(map(str, words))}: exit {done.returncode}:\n{done.stdout}")
        return done.stdout

    def write(self, path, content, user="root"):
        self.do("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "sh", path, user=user, text=content)

    def let_in(self, other):
        """The user's key of this machine opens the user's account on the other one."""
        self.do("sh", "-c", "mkdir -m 700 .ssh && ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519")
        other.do("mkdir", "-m", "700", ".ssh")
        other.write(f"/home/{USER}/.ssh/authorized_keys", self.do("cat", ".ssh/id_ed25519.pub"), user=USER)

    def start(self, name, words, user="root"):
        """A process that serves until the lab ends or restart_service() ends it."""
        return self.lab.track(Process(name, self, self.words(*words, user=user), self.lab.path(f"{name}.log")))

    def restart_service(self, unit):
        """What `systemctl restart` does: there is no service manager in here."""
        check(unit in self.services, f"{self.name}: no unit {unit}; there are: {', '.join(sorted(self.services))}")
        if unit in self.running:
            self.running[unit].stop()
        self.running[unit] = self.services[unit](self)

    def execute(self, text, root):
        """A prompt line of a page: by root or by the user, through bash, without a terminal."""
        restart = re.fullmatch(r"systemctl restart (\S+)", text)
        if restart and root:
            self.restart_service(restart[1])
            return 0, ""
        done = self.ask("bash", "-c", text, user="root" if root else USER)
        return done.returncode, done.stdout
