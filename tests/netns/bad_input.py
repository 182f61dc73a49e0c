# SPDX-License-Identifier: GPL-2.0-only
"""Wrong input of every kind gets a message that names the value, the reason and what to do. And two machines with one
identity, a takeover, an agent that is gone."""
import shutil
import sqlite3
import time

import harness  # noqa: F401
from netlab import topology
from netlab.case import check, check_in, main, note
from netlab.daemons import Agent, line_with_wrong_pins
from netlab.process import wait_until
from netlab.sockets import RST, EchoTarget, Target, echoes, read_exactly, refusal


def set_up(lab):
    lab.start_relay()
    lab.agent = lab.add_agent("home")
    EchoTarget(lab, 7200)
    lab.relay.ctl.text("map", 8103, "home:7200")


def join_fails(lab, name, line, *parts):
    """Ends with an error that has all the parts; the machine is not half a member afterwards."""
    agent = lab.make_agent(name)
    done = agent.once("join", line)
    check(done.returncode != 0, f"{name}: joined")
    for part in ("error: ", *parts):
        check_in(part, done.stderr, name)
    again = agent.once("run")
    check_in("this machine has not joined a relay", again.stderr, f"{name}: run afterwards")
    check_in("nfagent join LINE", again.stderr, f"{name}: run afterwards")


def join_lines(lab):
    line = lab.relay.join_line("one")
    lab.make_agent("one").join(line)
    join_fails(lab, "used", line, "the relay refused: ", "used", "nfctl agent rejoin one")
    late = lab.relay.join_line("late")
    expire(lab, "late")
    join_fails(lab, "late", late, "the relay refused: ", "expired", "nfctl agent rejoin late")
    for what, text in (("cut", line[:-5]), ("garbled", line[:20] + "x" + line[21:]), ("text", "hello"), ("empty", ""),
                       ("version", "nf9." + line[4:])):
        done = lab.make_agent("broken").once("join", text)
        check(done.returncode != 0, f"{what}: joined")
        check_in("join line: ", done.stderr, what)


def expire(lab, name):
    """A day passes for this line: its time is moved in the store, which the relay reads when it starts."""
    lab.relay.stop()
    with sqlite3.connect(f"{lab.relay.state}/relay.db") as store:
        columns = [row[1] for row in store.execute("PRAGMA table_info(agents)")]
        column = next(column for column in columns if "expires" in column)
        changed = store.execute(f"UPDATE agents SET {column} = 1000000 WHERE name = ?", (name,)).rowcount
    store.close()
    check(changed == 1, f"no agent {name} in the store")
    lab.relay.start()


def wrong_pin(lab):
    """A relay that is not the one the line was made by: never trusted, and said in words."""
    agent = lab.make_agent("pin")
    agent.join(line_with_wrong_pins(lab.relay.join_line("pin")), wait=False)
    agent.process.wait_log("not connected: ", 5)
    log = agent.process.log()
    check("pin" in log or "key" in log, f"a wrong relay key: {log}")
    check("connected to" not in log.replace("not connected to", ""), "it connected")
    note(log.strip().splitlines()[-1])
    agent.stop()


def unknown_key(lab):
    """An agent the relay has forgotten."""
    agent = lab.add_agent("gone")
    lab.relay.ctl.text("agent", "remove", "gone")
    agent.restart()
    agent.process.wait_log("is not known to this relay", 5)
    check_in("nfctl agent rejoin NAME", agent.process.log(), "an unknown key")
    agent.stop()


def agent_names(lab):
    for name in ("", "UPPER", "two\nlines", "\x1b[31mred", "a" * 80, "-dash", "sp ace", "../up"):
        done = lab.relay.ctl.run("agent", "add", "--", name)
        check(done.returncode != 0, f"agent add {name!r} worked")
        check("\x1b" not in done.stderr and name.count("\n") == 0 or "two\nlines" not in done.stderr, f"{done.stderr!r}")
        check_in("error: ", done.stderr, f"agent add {name!r}")
    check_in("home", lab.relay.ctl.fails("agent", "add", "home"), "a name that is taken")
    with open(lab.relay.log_path) as file:
        check("\x1b" not in file.read(), "an escape sequence in the log")


def mappings(lab):
    foreign = lab.net.relay.listen("0.0.0.0", 8401)
    error = lab.relay.ctl.fails("map", 8401, "home:7200")
    # The holder has no right to look into a root program with more rights than itself: then the user is named.
    check_in("port 8401 is in use by ", error, "a port of another program")
    check("python" in error or "of user root (see ss -ltnp)" in error, f"nobody is named: {error}")
    foreign.close()
    check_in("port 8103 belongs to home (-> 127.0.0.1:7200", lab.relay.ctl.fails("map", 8103, "one:22"), "taken")
    check_in("nfctl unmap 8103", lab.relay.ctl.fails("map", 8103, "one:22"), "taken by another agent")
    check_in("no agent is named 'nobody'", lab.relay.ctl.fails("map", 8500, "nobody:22"), "an unknown agent")
    for public, where in (("0", "home:22"), ("99999", "home:22"), ("x", "home:22"), ("8500", "home:0"), ("8500", "home"),
                          ("8500", "home:1.2.3.4.5:6"), ("192.0.2.9:8500", "home:22")):
        done = lab.relay.ctl.run("map", public, where)
        check(done.returncode != 0 and "error: " in done.stderr, f"map {public} {where}: {done.stdout}{done.stderr}")
    check_in("8777", lab.relay.ctl.fails("unmap", 8777), "unmap of nothing")


def targets(lab):
    """Unreachable, and outside the agent's list: said by map, refused for visitors, told by flows --recent."""
    lab.relay.ctl.text("map", 8601, "home:10.77.2.77:80")  # outside the list
    how, after = refusal(lab, topology.RELAY4, 8601)
    check(how == RST and after < 0.5, f"a target outside the list: {how} after {after:.2f} s")
    check_in("target is outside the agent's allow list", lab.relay.ctl.text("flows", "--recent"), "flows --recent")
    check_in("does not allow this target", lab.relay.ctl.text("map", 8601, "home:10.77.2.77:80"), "map outside the list")
    allowed = lab.agent.once("allow", "10.77.2.0/24")
    check(allowed.returncode == 0, allowed.stderr)
    time.sleep(1.2)  # the list is read again
    text = lab.relay.ctl.text("map", 8602, "home:10.77.2.77:80")  # nobody has that address
    check("does not answer" in text, f"an unreachable target: {text}")


def agent_gone(lab):
    """First visitors wait a little for it, then they get an RST and the reason is shown."""
    lab.agent.stop()
    wait_until(lambda: agent_state(lab, "home") == "away", 3, "the agent is away")
    how, after = refusal(lab, topology.RELAY4, 8103, seconds=6)
    check(how == RST and after < 3.6, f"a visitor of an absent agent: {how} after {after:.1f} s")
    how, after = refusal(lab, topology.RELAY4, 8103)
    check(how == RST and after < 0.5, f"a later visitor: {how} after {after:.1f} s")
    recent = lab.relay.ctl.text("flows", "--recent")
    check_in("agent home away since ", recent, "flows --recent")
    check_in(f"last seen from {topology.AGENT4}", recent, "flows --recent")
    check_in("visitors are refused until it", lab.relay.ctl.text("map", 8104, "home:7200"), "map of an absent agent")
    lab.agent.start()
    check(echoes(lab, topology.RELAY4, 8104), "it is back")


def agent_state(lab, name):
    return next(a["state"] for a in lab.relay.ctl.json("agents")["agents"] if a["name"] == name)


def takeover(lab):
    """A machine that was cut off comes back before the relay has missed it; the flows of its channels run on."""
    lab.target = Target(lab, 7300)
    lab.relay.ctl.text("map", 8105, "home:7300")
    lab.target.accept().close()
    visitor = lab.net.visitor.connect(topology.RELAY4, 8105)
    target = lab.target.accept()
    lab.copy = copy_of(lab, "home-copy")
    lab.copy.start()
    visitor.sendall(b"still the old channel")
    check(read_exactly(target, 21) == b"still the old channel", "the flow of the session that was replaced")
    lab.agent.process.wait_log("a newer session of this agent took over", 5)


def copy_of(lab, name):
    """The same identity on another machine: a disk image, a restored backup."""
    copy = Agent(lab.path(name), lab.net.agent)
    lab.logs.append(copy.log_path)
    lab.defer(copy.stop)
    shutil.copytree(lab.agent.state, copy.state)
    return copy


def one_identity_twice(lab):
    """Both live: they are told, and do not evict each other for ever."""
    note_text = "two machines use this identity"
    wait_until(lambda: note_text in lab.relay.process.log(), 15, "the relay notices two machines with one identity")
    wait_until(lambda: note_text in lab.agent.process.log() and note_text in lab.copy.process.log(), 10, "both are told")
    listed = next(a for a in lab.relay.ctl.json("agents")["agents"] if a["name"] == "home")
    check_in(note_text, listed.get("note", ""), "agents")
    check_in("nfctl agent add NAME", listed["note"], "what to do")
    before = sessions(lab)
    time.sleep(3)
    check(sessions(lab) - before == 0, f"{sessions(lab) - before} logins in 3 s: they are flapping")
    check(echoes(lab, topology.RELAY4, 8103), "one of them serves")
    lab.copy.stop()


def sessions(lab):
    return lab.relay.process.log().count("agent home connected from")


main(set_up, join_lines, wrong_pin, unknown_key, agent_names, mappings, targets, agent_gone, takeover, one_identity_twice)
