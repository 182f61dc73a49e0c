# SPDX-License-Identifier: GPL-2.0-only
"""The relay's state: kill -9 in the middle of commands leaves nothing half-written; a full disk and a read-only one
give a clear error while relaying goes on."""
import os
import sqlite3
import subprocess
import threading
import time

import harness  # noqa: F401
from netlab import topology
from netlab.case import check, check_in, main, note, scaled
from netlab.process import wait_until
from netlab.sockets import EchoTarget, echoes
from netlab.topology import run

KILLS = scaled(8, 3)


def set_up(lab):
    lab.relay = lab.make_relay()
    os.makedirs(lab.relay.state)
    run("mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "none", lab.relay.state)
    lab.defer(lambda: subprocess.run(["umount", "-l", lab.relay.state], check=False))
    lab.relay.start()
    lab.add_agent("home")
    EchoTarget(lab, 7200)
    lab.relay.ctl.text("map", 8103, "home:7200")


class Operator(threading.Thread):
    """Types commands until told to stop; knows what was confirmed, what was refused, and what is in doubt."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.ctl = lab.relay.ctl
        self.random = lab.random
        self.agents, self.ports, self.in_doubt = {"home"}, {8103}, set()
        self.stopping = False
        self.confirmed = 0

    def run(self):
        step = 0
        while not self.stopping:
            step += 1
            port = 9000 + step % 40
            if step % 4 == 0:
                self._try(f"k{step}", self.agents.add, "agent", "add", f"k{step}")
            elif port in self.ports:
                self._try(port, self.ports.discard, "unmap", port)
            else:
                self._try(port, self.ports.add, "map", port, "home:7200")

    def _try(self, what, confirm, *words):
        self.in_doubt.add(what)
        done = self.ctl.run(*words)
        if done.returncode == 0:
            confirm(what)
            self.in_doubt.discard(what)
            self.confirmed += 1
        else:
            time.sleep(0.02)


def half_written(lab):
    """Whatever was confirmed is there after the kill; whatever was not is there whole or not at all."""
    operator = Operator(lab)
    operator.start()
    for _ in range(KILLS):
        time.sleep(lab.random.uniform(0.05, 0.4))
        lab.relay.kill_relay_process()
        wait_until(lambda: lab.relay.ctl.run("status").returncode == 0, 8, "the relay answers again")
    operator.stopping = True
    operator.join()
    compare(lab, operator)
    lab.relay.process.kill()
    time.sleep(0.3)
    integrity(lab)
    lab.relay.start()
    compare(lab, operator)
    note(f"{operator.confirmed} commands confirmed around {KILLS} kills, {len(operator.in_doubt)} in doubt")
    check(operator.confirmed > KILLS, "hardly a command got through")


def compare(lab, operator):
    agents = {agent["name"] for agent in lab.relay.ctl.json("agents")["agents"]}
    ports = {int(m["public"].split("/")[0]) for m in lab.relay.ctl.json("maps")["mappings"]}
    check(agents - operator.in_doubt == operator.agents - operator.in_doubt,
          f"agents: {agents ^ operator.agents}, in doubt {operator.in_doubt}")
    check(ports - operator.in_doubt == operator.ports - operator.in_doubt,
          f"ports: {ports ^ operator.ports}, in doubt {operator.in_doubt}")


def integrity(lab):
    store = sqlite3.connect(f"{lab.relay.state}/relay.db")
    check(store.execute("PRAGMA integrity_check").fetchone() == ("ok",), "the store's integrity check")
    check(store.execute("PRAGMA foreign_key_check").fetchall() == [], "the store's references")
    store.close()


def fill(lab):
    """The disk is full to the last byte."""
    with open(f"{lab.relay.state}/filler", "wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


def refused_and_relaying(lab, what, *parts):
    pid = lab.relay.relay_pid()
    wait_until(lambda: echoes(lab, topology.RELAY4, 8103), 5, f"{what}: relaying")
    failed = ""
    for step in range(200):  # a page that is there already may still take a row
        done = lab.relay.ctl.run("map", 9500 + step, "home:7200")
        if done.returncode != 0:
            failed = done.stderr
            break
    check(failed.startswith("error: "), f"{what}: 200 mappings were stored: {failed}")
    for part in parts:
        check_in(part, failed, what)
    check(echoes(lab, topology.RELAY4, 8103), f"{what}: relaying goes on after the refusal")
    check(lab.relay.relay_pid() == pid, f"{what}: the relay process died")
    check(not lab.relay.listening(9500 + step), f"{what}: the refused mapping's port is open")
    note(f"{what}: {failed.strip()}")


def full_disk(lab):
    fill(lab)
    refused_and_relaying(lab, "full disk", "full")
    os.unlink(f"{lab.relay.state}/filler")
    lab.relay.ctl.text("map", 9499, "home:7200")
    check(echoes(lab, topology.RELAY4, 9499), "a mapping once there is room")


def read_only(lab):
    """A file system that came up read-only: said at the start, with the file; nothing is lost when it is repaired."""
    lab.relay.stop()
    run("mount", "-o", "remount,ro", lab.relay.state)
    lab.relay.start(wait=False)
    check(lab.relay.process.wait(10) != 0, "the relay started on a read-only state directory")
    check_in("Read-only file system", lab.relay.process.log(), "a read-only state directory")
    check_in(lab.relay.state, lab.relay.process.log(), "a read-only state directory")
    run("mount", "-o", "remount,rw", lab.relay.state)
    integrity(lab)
    lab.relay.start()
    wait_until(lambda: echoes(lab, topology.RELAY4, 9499), 5, "the mappings are back")


def damaged_store(lab):
    """A file that is no database: the relay does not start over an empty one, and says which file."""
    lab.relay.stop()
    with open(f"{lab.relay.state}/relay.db", "r+b") as file:
        file.write(b"this is not a database, whatever its name")
    for name in ("relay.db-wal", "relay.db-shm"):
        if os.path.exists(f"{lab.relay.state}/{name}"):
            os.unlink(f"{lab.relay.state}/{name}")
    lab.relay.start(wait=False)
    check(lab.relay.process.wait(10) != 0, "the relay started with a damaged store")
    check_in("relay.db", lab.relay.process.log(), "a damaged store")


main(set_up, half_written, full_disk, read_only, damaged_store)
