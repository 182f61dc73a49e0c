# SPDX-License-Identifier: GPL-2.0-only
"""nfagent-static in an empty root: no library, no /proc, no /dev, no /etc; later with a resolv.conf and nothing else."""
import os
import shutil
import subprocess

import harness  # noqa: F401
from netlab import topology
from netlab.case import check, check_in, main
from netlab.daemons import binary, line_with_addresses
from netlab.names import NameServer
from netlab.process import Process, status_field
from netlab.sockets import EchoTarget, echoes


def words(lab, *verb):
    return ["chroot", lab.root, "/nfagent", *verb]


def once(lab, *verb):
    return subprocess.run([*lab.net.agent.enter_words(), *words(lab, *verb)], capture_output=True, text=True, timeout=20)


def directories(name):
    return ["--state", f"/{name}/state", "--run", f"/{name}/run"]


def join(lab, name, line):
    process = Process(name, lab.net.agent, words(lab, "join", line, *directories(name)), lab.path(f"{name}.log"))
    lab.track(process).wait_log("connected to ", 10)
    return process


def no_shared_library(lab):
    lab.root = lab.path("root")
    os.makedirs(lab.root)
    shutil.copy(binary("nfagent-static"), os.path.join(lab.root, "nfagent"))
    for name in ("home", "named"):
        os.makedirs(os.path.join(lab.root, name))
    with open(os.path.join(lab.root, "nfagent"), "rb") as file:
        check(b"/lib64/ld-linux" not in file.read(4096), "it names a loader")
    done = once(lab, "--version")
    check(done.returncode == 0 and done.stdout.startswith("nfagent "), f"--version: {done.stdout}{done.stderr}")
    done = once(lab, "run", "--nonsense")
    check(done.returncode == 2, f"a bad flag: exit {done.returncode}")
    check_in("nonsense", done.stderr, "the error of a bad flag")


def by_address(lab):
    lab.start_relay()
    EchoTarget(lab, 7500)
    process = join(lab, "home", lab.relay.join_line("home"))
    lab.relay.ctl.text("map", 8501, "home:7500")
    check(echoes(lab, topology.RELAY4, 8501), "a mapping out of an empty root")
    check(int(status_field(process.pid, "Threads")) == 1, "one thread")
    error = lab.relay.ctl.run("map", 8502, "home:db.test:7500")
    check_in("name", error.stdout + error.stderr, "a target by name where no server is")
    check(process.stop() == 0, "it ends in order")


def by_name(lab):
    """/etc/resolv.conf is all that names need; it is written while the root is in use."""
    os.makedirs(os.path.join(lab.root, "etc"))
    with open(os.path.join(lab.root, "etc", "resolv.conf"), "w") as file:
        file.write(f"nameserver {topology.AGENT4}\n")
    NameServer(lab, lab.net.agent, topology.AGENT4, {"relay.test": topology.TUNNEL4, "db.test": "127.0.0.1"})
    join(lab, "named", line_with_addresses(lab.relay.join_line("named"), ["relay.test:7707"]))
    lab.relay.ctl.text("map", 8503, "named:db.test:7500")
    check(echoes(lab, topology.RELAY4, 8503), "a target by name")
    lab.relay.ctl.text("map", 8504, "named:localhost:7500")
    check(echoes(lab, topology.RELAY4, 8504), "localhost without a hosts file")


main(no_shared_library, by_address, by_name)
