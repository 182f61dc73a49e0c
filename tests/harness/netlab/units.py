# SPDX-License-Identifier: GPL-2.0-only
"""Services of Debian packages inside a Machine, with the packages' own configuration, as their systemd units start them.

Each function is what `systemctl restart UNIT` means there; UNITS names them. Data directories are new and empty,
whatever the machine that the test runs on has in its own.
"""
import glob
import os
import re
import shlex

from .case import Skip
from .services import wait_listening

SCREEN = (640, 480)

def _own_directory(machine, user, path):
    machine.do("install", "-d", "-o", user, "-g", user, path, user="root")


def _data_directory(machine, user, path):
    """An empty one; a second start finds what the first left. True: it is new."""
    if machine.ask("mountpoint", "-q", path, user="root").returncode == 0:
        return False
    machine.do("sh", "-c", 'mkdir -p "$2" && mount -t tmpfs -o "uid=$(id -u "$1"),gid=$(id -g "$1"),mode=750" tmpfs "$2"',
               "sh", user, path, user="root")
    return True


def _start(machine, unit, words, port, user="root", seconds=20):
    return wait_listening(machine.start(f"{machine.name}-{unit}", words, user), machine.namespace, port, seconds)


def redis(machine):
    _own_directory(machine, "redis", "/run/redis")
    _data_directory(machine, "redis", "/var/lib/redis")
    return _start(machine, "redis-server", ["redis-server", "/etc/redis/redis.conf", "--supervised", "no", "--daemonize",
                                            "no"], 6379, "redis")


def mariadb(machine):
    _own_directory(machine, "mysql", "/run/mysqld")
    if _data_directory(machine, "mysql", "/var/lib/mysql"):
        machine.do("mariadb-install-db", "--user=mysql", "--skip-test-db", user="root")
    return _start(machine, "mariadb", ["mariadbd"], 3306, "mysql", 40)


def postgresql(machine):
    versions = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    if not versions:
        raise Skip("program postgres")
    version = max(path.split("/")[4] for path in versions)
    _own_directory(machine, "postgres", "/run/postgresql")
    if _data_directory(machine, "postgres", "/var/lib/postgresql"):
        machine.do("rm", "-rf", f"/etc/postgresql/{version}", user="root")
        machine.do("pg_createcluster", version, "main", user="root")
    return _start(machine, "postgresql", [
        f"/usr/lib/postgresql/{version}/bin/postgres", "-D", f"/var/lib/postgresql/{version}/main", "-c",
        f"config_file=/etc/postgresql/{version}/main/postgresql.conf"], 5432, "postgres")


def ssh(machine):
    _own_directory(machine, "root", "/run/sshd")
    machine.do("ssh-keygen", "-A", user="root")
    return _start(machine, "ssh", ["/usr/sbin/sshd", "-D", "-e"], 22)


def nginx(machine):
    machine.do("nginx", "-t", "-q", user="root")
    return _start(machine, "nginx", ["nginx", "-g", "daemon off;"], 80)


def _of_unit_file(name, port):
    """A unit that the page itself shows: its ExecStart= and User= are what is started."""
    def start(machine, replace=("", "")):
        text = machine.do("cat", f"/etc/systemd/system/{name}.service")
        command = re.search(r"^ExecStart=(.+)$", text, re.M)
        user = re.search(r"^User=(\S+)$", text, re.M)
        return _start(machine, name, shlex.split(command[1].replace(*replace)), port, user[1] if user else "root")
    return start


def x11vnc(machine):
    """In place of a screen, which a lab has not: a picture in a file, SCREEN. A test may change it while it is shown."""
    paint(machine)
    shown = f"-rawfb map:{screen_of(machine)}@{SCREEN[0]}x{SCREEN[1]}x32"
    return _of_unit_file("x11vnc", 5900)(machine, ("-display :0", shown))


def screen_of(machine):
    return machine.lab.path(f"{machine.name}-screen")


def paint(machine):
    """Another picture on the screen, with every pixel of another colour than its neighbours, most likely. In place:
    x11vnc has the file mapped."""
    path = screen_of(machine)
    with open(path, "r+b" if os.path.exists(path) else "wb") as file:
        file.write(os.urandom(SCREEN[0] * SCREEN[1] * 4))


UNITS = {"redis-server": redis, "mariadb": mariadb, "postgresql": postgresql, "ssh": ssh, "nginx": nginx,
         "chat": _of_unit_file("chat", 8765), "x11vnc": x11vnc}
