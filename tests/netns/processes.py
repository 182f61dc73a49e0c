# SPDX-License-Identifier: GPL-2.0-only
"""Who runs with which rights, who restarts whom, one instance per directories, and what happens without root."""
import os
import shutil

import harness  # noqa: F401
from netlab import topology
from netlab.case import check, check_in, main
from netlab.process import Process, status_field, wait_until
from netlab.sockets import EchoTarget, echoes

NOBODY = 65534


def rights(lab):
    lab.start_relay()
    pid = lab.relay.relay_pid()
    uids = set(status_field(pid, "Uid").split())
    check(len(uids) == 1 and uids != {"0"}, f"uids of the relay process: {uids}")
    check(status_field(pid, "Groups") == "", f"its groups: {status_field(pid, 'Groups')}")
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        check(int(status_field(pid, field), 16) == 0, f"the relay process has {field} {status_field(pid, field)}")
    check(status_field(pid, "NoNewPrivs") == "1", "the relay process may gain privileges")
    holder = int(status_field(lab.relay.process.pid, "CapEff"), 16)
    allowed = sum(1 << bit for bit in (5, 6, 7, 8, 10, 12, 13, 38, 39))
    check(holder & ~allowed == 0, f"the holder kept more than it needs: {holder:x}, allowed {allowed:x}")
    check(os.stat(lab.relay.state).st_uid == int(uids.pop()), "the state belongs to the relay process")
    for name in os.listdir(lab.relay.state):
        mode = os.stat(os.path.join(lab.relay.state, name)).st_mode & 0o777
        check(mode & 0o077 == 0, f"{name} has mode {mode:o}")


def holder_restarts_relay(lab):
    lab.add_agent("home")
    EchoTarget(lab, 7200)
    lab.relay.ctl.text("map", 8103, "home:7200")
    for turn in range(2):
        pid = lab.relay.kill_relay_process()
        wait_until(lambda: echoes(lab, topology.RELAY4, 8103), 5, "the mapping is back")
        log = lab.relay.process.log()
        check_in(f"relay process {pid} was killed by signal 9 (Killed) after ", log, "the holder's log")
        check(f"relay process {lab.relay.relay_pid()} started as" in log, "the restart is in the log")
    check(lab.relay.process.alive(), "the holder lives")


def second_instance(lab):
    """On the same directories it is refused and harms nothing; on others it is another relay."""
    second = lab.track(Process("second", lab.net.relay, lab.relay.words(), lab.path("second.log")))
    check(second.wait(10) != 0, "a second instance started")
    check_in(f"another nfrelayd (pid {lab.relay.process.pid}) runs in {lab.relay.run_dir}: stop it, or give this one "
             "directories of its own with --run and --state", second.log(), "a second instance")
    check(echoes(lab, topology.RELAY4, 8103), "the first serves on")
    other = lab.make_relay("other", extra="listen = [7708]\n").start()
    check(other.ctl.json("status")["agents"] == 0, "another relay beside it")
    other.stop()


def second_agent(lab):
    done = lab.agents["home"].once("run")
    check(done.returncode != 0, "a second agent on the same state started")
    check_in("another nfagent runs with the state in ", done.stderr, "a second agent")


def second_agent_tunnel_port(lab):
    """Another relay on the same tunnel port: the error names the port and who has it."""
    other = lab.make_relay("clash")
    other.start(wait=False)
    check(other.process.wait(10) != 0, "a relay without its tunnel port keeps running")
    log = other.process.log()
    check_in("tunnel port", log, "a taken tunnel port")
    check_in("7707", log, "a taken tunnel port")
    check_in("nfrelayd", log, "the owner of a taken tunnel port")


def stop_in_order(lab):
    began = lab.relay.relay_pid()
    check(lab.relay.process.stop() == 0, "SIGTERM is no failure")
    check(not os.path.exists(f"/proc/{began}"), "the relay process is gone too")
    check_in("stopping: agents are told", lab.relay.process.log(), "the relay's last words")
    lab.agents["home"].process.wait_log("not connected: ", 5)
    check(not lab.relay.listening(8103), "the listeners are closed")


def without_root(lab):
    """One process as an ordinary user: everything works above port 1023, and what is missing is said."""
    plain = lab.make_relay("plain", extra="listen = [7717]\n")
    for path in (plain.state, plain.run_dir):
        os.makedirs(path)
    for path in (plain.directory, plain.state, plain.run_dir):
        shutil.chown(path, NOBODY, NOBODY)
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    plain.process = lab.track(Process("nfrelayd", lab.net.relay, words + plain.words(), plain.log_path))
    plain.process.wait_log("ready\n")
    check_in("not root: public ports above 1023 only, and a restart closes them; run nfrelayd as root",
             plain.process.log(), "without root")
    check(plain.relay_pid() == 0 and status_field(plain.process.pid, "CapEff").strip("0") == "", "one process, no rights")
    agent = lab.make_agent("user")
    agent.join(plain.join_line("user"))
    plain.ctl.text("map", 8203, "user:7200")
    check(echoes(lab, topology.RELAY4, 8203), "a mapping without root")
    check_in("missing", plain.ctl.text("status"), "status")
    error = plain.ctl.fails("map", 80, "user:7200")
    check("80" in error and "permission" in error.lower() or "root" in error, f"a port below 1024: {error}")


main(rights, holder_restarts_relay, second_instance, second_agent, second_agent_tunnel_port, stop_in_order, without_root)
