# SPDX-License-Identifier: GPL-2.0-only
"""Services whose connections live long and speak both ways, with their own clients over leg plain and leg tls:
postgresql, openssh at a terminal and with forwardings inside, a WebSocket server, a remote desktop."""
import hashlib
import os
import signal
import subprocess
import threading

import harness  # noqa: F401
from netlab import addresses, pages, services, units
from netlab.case import check, check_in, main, note, scale, scaled
from netlab.machines import USER, Machine
from netlab.process import Process, wait_until
from netlab.sockets import EchoTarget, read_exactly
from netlab.terminal import Terminal

PROGRAMS = ("psql", "pgbench", "sshd", "ssh", "curl", "nginx", "x11vnc", "vncsnapshot", "tightvncpasswd")
LEGS = {"plain": 20000, "tls": 30000}
PORTS = (22, 5432, 5900, 8765)
ROWS = min(200_000, scaled(200_000, 2000))
FORWARD_BYTES = 8 << 20
IDLE_S = 20
TRANSACTIONS = min(100, scaled(100, 10))
CLIENT = os.path.join(harness.HERE, "websocket_client.py")


def set_up(lab):
    addresses.lay(lab.net)
    lab.start_relay(public=(addresses.RELAY,))
    lab.home = Machine(lab, "client1", lab.net.agent, addresses.HOSTS, units.UNITS)
    lab.visitor = Machine(lab, "visitor", lab.net.visitor, addresses.HOSTS)
    lab.add_agent("client1", namespace=lab.home)
    machines = {"client1": lab.home, "visitor": lab.visitor}
    lab.visitor.let_in(lab.home)
    for page in ("websocket.md", "vnc.md"):
        pages.write_files(page, machines)
    lab.home.do("x11vnc", "-storepasswd", "secret77", "/etc/x11vnc.pass", user="root")
    for unit in ("postgresql", "ssh", "nginx", "chat", "x11vnc"):
        lab.home.restart_service(unit)
    for leg, base in LEGS.items():
        for port in PORTS:
            text = lab.relay.ctl.text("map", base + port, f"client1:{port}", "--leg", leg)
            check(f"leg {leg}" in text and "target answers" in text, text)
    sql = "CREATE USER app PASSWORD 'secret'; CREATE DATABASE shop OWNER app"
    for statement in sql.split("; "):
        lab.home.do("runuser", "-u", "postgres", "--", "psql", "-q", "-c", statement, user="root")
    lab.visitor.do("sh", "-c", "echo '*:*:*:app:secret' >.pgpass && chmod 600 .pgpass")


def websocket_begin(lab):
    """The long silence goes on while the other steps run. The program is given as input: the user may not be allowed
    to read where the sources are."""
    lab.chats = {leg: lab.track(Process(f"chat-{leg}", lab.visitor, lab.visitor.words(
        "/usr/bin/python3", "-", f"ws://relay.example:{base + 8765}/", IDLE_S, user=USER), lab.path(f"chat-{leg}.log"),
        stdin=open(CLIENT, "rb"))) for leg, base in LEGS.items()}


def psql_words(leg, *words, program="psql"):
    return [program, "-h", "relay.example", "-p", LEGS[leg] + 5432, "-U", "app", *words]


def sql(lab, leg, statement, text=None):
    return lab.visitor.do(*psql_words(leg, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "shop", "-c", statement),
                          text=text)


def digest(text):
    return hashlib.md5(text.encode()).hexdigest()


def postgresql_copy(lab):
    """A table of 9 MB up by COPY FROM, down by COPY TO, and its sum as the server has it."""
    table = "".join(f"{n}\t{digest(str(n))}\n" for n in range(ROWS))
    for leg in LEGS:
        sql(lab, leg, f"CREATE TABLE big_{leg} (n int, t text)")
        sql(lab, leg, f"COPY big_{leg} FROM STDIN", text=table)
        came = sql(lab, leg, f"COPY (SELECT * FROM big_{leg} ORDER BY n) TO STDOUT")
        check(came == table, f"leg {leg}: {len(came)} of {len(table)} bytes, or others")
        there = sql(lab, leg, f"SELECT count(*), md5(string_agg(t, '' ORDER BY n)) FROM big_{leg}").strip()
        check(there == f"{ROWS}|{digest(''.join(line.split()[1] for line in table.splitlines()))}", f"leg {leg}: {there}")


def postgresql_load(lab):
    for leg in LEGS:
        if scale() >= 1 or leg == next(iter(LEGS)):  # 100,000 rows each time
            lab.visitor.do(*psql_words(leg, "-i", "-q", "shop", program="pgbench"))
        out = lab.visitor.do(*psql_words(leg, "-c", 8, "-t", TRANSACTIONS, "shop", program="pgbench"))
        check_in(f"actually processed: {8 * TRANSACTIONS}/{8 * TRANSACTIONS}", out, f"leg {leg}")
        connecting = lab.visitor.do(*psql_words(leg, "-c", 4, "-t", 25, "-C", "-S", "shop", program="pgbench"))
        check_in("actually processed: 100/100", connecting, f"leg {leg}, a connection a transaction")
        note(f"leg {leg}: " + next(line for line in out.splitlines() if line.startswith("tps")))


def running(lab, leg, what):
    """How many of our statements the server works on."""
    return int(sql(lab, leg, f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{what}%'"
                   " AND pid <> pg_backend_pid()"))


def postgresql_cancel(lab):
    """Ctrl-C in psql: a CancelRequest on a connection of its own, which carries nothing else and gets no answer."""
    for leg in LEGS:
        words = psql_words(leg, "-X", "shop", "-c", f"SELECT pg_sleep(60), '{leg}'")
        psql = lab.track(Process(f"cancel-{leg}", lab.visitor, lab.visitor.words(*words, user=USER),
                                 lab.path(f"cancel-{leg}.log")))
        wait_until(lambda: running(lab, leg, "pg_sleep"), 10, "the statement runs")
        psql.signal(signal.SIGINT)
        check(psql.wait(5) == 1, f"leg {leg}: psql ended with {psql.exit_code()}")
        check_in("canceling statement due to user request", psql.log(), f"leg {leg}")
        check(running(lab, leg, "pg_sleep") == 0, f"leg {leg}: the statement still runs")


def postgresql_notify(lab):
    for leg in LEGS:
        terminal = at_terminal(lab, psql_words(leg, "-X", "shop"), 30, 120)
        terminal.expect("shop=>")
        terminal.type("LISTEN news;\n")
        terminal.expect("LISTEN\r\n")
        sql(lab, leg, f"NOTIFY news, 'from {leg}'")
        terminal.type("SELECT 1;\n")
        terminal.expect(f'Asynchronous notification "news" with payload "from {leg}"')
        terminal.type("\\q\n")
        check(terminal.wait() == 0, f"leg {leg}: psql ends")


def at_terminal(lab, words, rows, columns):
    """A program of the visitor's at a terminal of the given size."""
    terminal = Terminal([*lab.visitor.enter_words(), *lab.visitor.words("env", "TERM=dumb", "PAGER=cat", *words,
                                                                        user=USER)], rows, columns)
    lab.defer(terminal.close)
    return terminal


def ssh_words(leg, *words):
    return ["ssh", "-q", "-p", LEGS[leg] + 22, "-o", "StrictHostKeyChecking=accept-new", *words, "relay.example"]


def ssh_terminal(lab):
    """A login shell: the window's size and its change arrive, Ctrl-C stops what runs, the exit code returns."""
    for leg in LEGS:
        terminal = at_terminal(lab, ssh_words(leg), 31, 97)
        terminal.expect("$ ")
        terminal.type("stty size; hostname\n")
        terminal.expect("31 97\r\nclient1\r\n")
        terminal.resize(50, 132)
        terminal.type("stty size\n")
        terminal.expect("50 132\r\n")
        terminal.type("sh -c 'echo be\"\"gun; exec sleep 100'\n")  # in front before it says so
        terminal.expect("begun\r\n")
        terminal.type("\x03")
        took = terminal.expect("$ ", 3)
        terminal.type("echo code $?\n")
        terminal.expect("code 130\r\n")
        terminal.type("exit 7\n")
        check(terminal.wait() == 7, f"leg {leg}: the shell ended with 7, ssh did not")
        note(f"leg {leg}: prompt {took * 1000:.0f} ms after Ctrl-C")


def through(namespace, port, data):
    """Sends data to an echo behind a port of the namespace; what comes back must be the same."""
    with namespace.connect("127.0.0.1", port) as connection:
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        came = read_exactly(connection, len(data), 30)
        sender.join()
    check(came == data, f"port {port}: {len(data)} bytes came back changed")


def ssh_forwards(lab):
    """-L, -R and -D inside a mapping; an echo at either end, and a file of nginx through the SOCKS proxy."""
    EchoTarget(lab, 9100)
    EchoTarget(lab, 9200, namespace=lab.net.visitor)
    data = os.urandom(FORWARD_BYTES)
    lab.home.do("sh", "-c", f"head -c {FORWARD_BYTES} /dev/urandom >/var/www/html/file", user="root")
    whole = lab.home.do("sha256sum", "/var/www/html/file").split()[0]
    for number, leg in enumerate(LEGS):
        local, remote, socks = (9000 + 10 * number + index for index in range(3))
        words = ssh_words(leg, "-N", "-o", "ExitOnForwardFailure=yes", "-L", f"{local}:127.0.0.1:9100", "-R",
                          f"{remote}:127.0.0.1:9200", "-D", socks)
        session = lab.track(Process(f"forward-{leg}", lab.visitor, lab.visitor.words(*words, user=USER),
                                    lab.path(f"forward-{leg}.log")))
        services.wait_listening(session, lab.net.agent, remote)
        services.wait_listening(session, lab.net.visitor, socks)
        through(lab.net.visitor, local, data)
        through(lab.net.agent, remote, data)
        got = lab.visitor.do("sh", "-c", f"curl -sSf --socks5-hostname 127.0.0.1:{socks} http://client1/file | sha256sum")
        check(got.split()[0] == whole, f"leg {leg}: the file through -D differs")
        session.stop()


def picture(lab, machine, name, host):
    """A snapshot of the screen, as bytes of a JPEG."""
    path = lab.path(name)
    machine.do("vncsnapshot", "-quiet", "-nojpeg", "-nocursor", "-encodings", "hextile", "-passwd", "/etc/vnc.pass", host,
               path, user="root")
    with open(path, "rb") as file:
        return file.read()


def desktop(lab):
    """The same picture through either leg as beside the server; another one after the screen changed; a wrong password."""
    for machine, password in ((lab.home, "secret77"), (lab.visitor, "secret77")):
        machine.do("sh", "-c", f"echo {password} | tightvncpasswd -f >/etc/vnc.pass", user="root")
    seen = set()
    for round_number in range(2):
        there = picture(lab, lab.home, f"there{round_number}.jpg", "127.0.0.1:0")
        check(len(there) > 100000, f"a picture of {len(there)} bytes")
        for leg, base in LEGS.items():
            came = picture(lab, lab.visitor, f"{leg}{round_number}.jpg", f"relay.example::{base + 5900}")
            check(came == there, f"leg {leg}: {len(came)} bytes instead of {len(there)}, or others")
        seen.add(there)
        units.paint(lab.home)
    check(len(seen) == 2, "the picture did not change with the screen")
    lab.visitor.do("sh", "-c", "echo secret78 | tightvncpasswd -f >/etc/vnc.pass", user="root")
    refused = lab.visitor.ask("vncsnapshot", "-passwd", "/etc/vnc.pass", f"relay.example::{LEGS['tls'] + 5900}",
                              lab.path("never.jpg"), user="root")
    check(refused.returncode != 0 and not os.path.exists(lab.path("never.jpg")), "a wrong password got a picture")


def websocket_end(lab):
    for leg, chat in lab.chats.items():
        code = chat.wait(IDLE_S + 30)
        check(code == 0, f"leg {leg}: exit {code}: {chat.log()}")
        check_in("closed 4001 as you wish", chat.log(), f"leg {leg}")
    note(f"10 MiB echoed, {IDLE_S} s of silence survived, the server's close code came")


main(set_up, websocket_begin, postgresql_copy, postgresql_load, postgresql_cancel, postgresql_notify, ssh_terminal,
     ssh_forwards, desktop, websocket_end, needs=PROGRAMS)
