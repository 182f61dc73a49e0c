# SPDX-License-Identifier: GPL-2.0-only
"""The first minute: add, join, map, and a visitor who uses redis and mariadb with their own clients."""
import harness  # noqa: F401
from netlab import services, topology
from netlab.case import check, check_in, main, note
from netlab.sockets import RST, refusal

PROGRAMS = ("redis-server", "redis-cli", "mariadbd", "mariadb-install-db", "mariadb")


def join(lab):
    relay = lab.start_relay()
    text = relay.ctl.text("agent", "add", "client1")
    check_in("works once, until ", text, "agent add")
    agent = lab.make_agent("client1")
    agent.join(text.split("nfagent join ")[1].strip())
    log = agent.process.log()
    check_in(f"connected to {topology.TUNNEL4}:7707 as client1 in ", log, "nfagent join")
    check_in("For other machines in this LAN: nfagent allow", log, "nfagent join")
    listed = relay.ctl.json("agents")["agents"][0]
    check(listed["state"] == "connected" and listed["address"] == topology.AGENT4, f"agents: {listed}")


def use_redis(lab):
    services.redis(lab)
    text = lab.relay.ctl.text("map", 6379, "client1:6379")
    check_in("-> client1 127.0.0.1:6379   target answers in ", text, "map")
    check_in("leg plain", text, "map")

    def redis(*words):
        return services.client(lab.net.visitor, "redis-cli", "-h", topology.RELAY4, "-p", 6379, *words).strip()
    check(redis("set", "greeting", "hello") == "OK", "redis set")
    check(redis("get", "greeting") == "hello", "redis get")
    answer = services.client(lab.net.visitor, "redis-cli", "-h", topology.RELAY6, "-p", 6379, "get", "greeting")
    check(answer.strip() == "hello", "redis over IPv6")


def use_mariadb(lab):
    services.mariadb(lab)
    text = lab.relay.ctl.text("map", 3307, "client1:3306")
    check_in("MySQL without TLS travels in clear text", text, "map")
    sql = "CREATE TABLE t (n INT); INSERT INTO t VALUES (1), (41); SELECT SUM(n) FROM t;"
    answer = services.client(lab.net.visitor, "mariadb", "--no-defaults", "-h", topology.RELAY4, "-P", 3307, "-u", "nf",
                             "-psecret", "-N", "-B", "--protocol=tcp", "shop", "-e", sql)
    check(answer.strip() == "42", f"mariadb says {answer!r}")


def tables(lab):
    visitor = lab.net.visitor.connect(topology.RELAY4, 6379)
    visitor.sendall(b"PING\r\n")
    check(visitor.recv(64) == b"+PONG\r\n", "redis answers a bare socket")
    maps = lab.relay.ctl.text("maps")
    for part in ("PUBLIC", "6379/tcp", "client1", "127.0.0.1:3306", "plain", "ok"):
        check_in(part, maps, "maps")
    row = next(m for m in lab.relay.ctl.json("maps")["mappings"] if m["public"] == "6379/tcp")
    check(row["flows"] == 1 and row["in_bytes"] >= 90 and row["out_bytes"] >= 34, f"the row of redis: {row}")
    flows = lab.relay.ctl.flows()
    name = "%s:%d" % visitor.getsockname()
    check(len(flows) == 1 and flows[0]["visitor"] == name and flows[0]["in_bytes"] == 6, f"flows: {flows}")
    check(flows[0]["tier"] == "user" and flows[0]["agent"] == "client1", f"flows: {flows}")
    visitor.close()


def dead_target(lab):
    """The mapping is made, with a warning; its visitors get a prompt RST and the operator the reason."""
    text = lab.relay.ctl.text("map", 8888, "client1:4444")
    check_in("target refuses the connection", text, "map of a dead target")
    check_in("warning: target 127.0.0.1:4444 does not answer: connection refused", text, "map of a dead target")
    ends = [refusal(lab, address, 8888) for address in (topology.RELAY4, topology.RELAY6) for _ in range(5)]
    check(all(how == RST for how, _ in ends), f"a FIN or silence is no refusal: {ends}")
    waits = [after for _, after in ends]
    note(f"RST after {', '.join(f'{1000 * wait:.0f}' for wait in waits)} ms")
    check(max(waits) < 0.5, f"a visitor waited {max(waits):.3f} s for its RST")
    recent = [event for event in lab.relay.ctl.recent() if event["public"] == "8888/tcp"]
    check(len(recent) == 10, f"{len(recent)} events of 10 visitors")
    check(all(e["verdict"] == "refused" and e["detail"] == "client1: 127.0.0.1:4444 connection refused" for e in recent),
          f"recent: {recent}")
    check_in("client1: 127.0.0.1:4444 connection refused", lab.relay.ctl.text("flows", "--recent"), "flows --recent")


def it_comes_alive(lab):
    server = lab.net.agent.listen("127.0.0.1", 4444)
    visitor = lab.net.visitor.connect(topology.RELAY4, 8888)
    accepted, _ = server.accept()
    visitor.sendall(b"good morning")
    check(accepted.recv(64) == b"good morning", "the mapping works once its target does")
    for made in (visitor, accepted, server):
        made.close()


main(join, use_redis, use_mariadb, tables, dead_target, it_comes_alive, needs=PROGRAMS)
