# SPDX-License-Identifier: GPL-2.0-only
"""openssh, nginx, redis and mariadb through a mapping, with their own clients, over leg plain and leg tls."""
import hashlib
import os

import harness  # noqa: F401
from netlab import services, topology
from netlab.case import check, main, note, scale, scaled

PROGRAMS = ("redis-server", "redis-benchmark", "mariadbd", "mariadb-install-db", "mariadb", "sshd", "ssh-keygen", "scp",
            "nginx", "curl")
LEGS = {"plain": 0, "tls": 1}
BIG_BYTES = (1 << 30) if scale() > 1 else scaled(256 << 20, 8 << 20)


def set_up(lab):
    lab.start_relay()
    lab.add_agent("home")
    lab.key, lab.user = services.sshd(lab)
    lab.www = services.nginx(lab)
    services.redis(lab)
    services.mariadb(lab)
    for leg, offset in LEGS.items():
        for port in (22, 80, 6379, 3306):
            text = lab.relay.ctl.text("map", 20000 + 10000 * offset + port, f"home:{port}", "--leg", leg)
            check(f"leg {leg}" in text and "target answers" in text, text)
    write_random(lab.path("big"), BIG_BYTES)
    lab.hash = hash_of(lab.path("big"))


def write_random(path, size):
    block = os.urandom(1 << 20)
    with open(path, "wb") as file:
        for index in range(size >> 20):
            file.write(index.to_bytes(8, "big") + block[8:])


def hash_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def port_of(leg, port):
    return 20000 + 10000 * LEGS[leg] + port


def scp(lab, leg, source, target):
    services.client(lab.net.visitor, "scp", "-q", "-P", port_of(leg, 22), "-i", lab.key, "-o", "StrictHostKeyChecking=no",
                    "-o", "UserKnownHostsFile=/dev/null", "-o", "Ciphers=aes128-gcm@openssh.com", source, target)


def scp_both_ways(lab):
    remote = f"{lab.user}@{topology.RELAY4}"
    for leg in LEGS:
        scp(lab, leg, lab.path("big"), f"{remote}:{lab.path('there')}")
        check(hash_of(lab.path("there")) == lab.hash, f"leg {leg}: the uploaded file differs")
        scp(lab, leg, f"{remote}:{lab.path('there')}", lab.path("back"))
        check(hash_of(lab.path("back")) == lab.hash, f"leg {leg}: the file that came back differs")
        for name in ("there", "back"):
            os.unlink(lab.path(name))
    note(f"{BIG_BYTES >> 20} MiB up and down over both legs")


def nginx_large_file(lab):
    os.link(lab.path("big"), f"{lab.www}/big")
    for leg, host in (("plain", f"[{topology.RELAY6}]"), ("tls", topology.RELAY4)):
        services.client(lab.net.visitor, "curl", "-sSf", "-g", "-o", lab.path("got"),
                        f"http://{host}:{port_of(leg, 80)}/big")
        check(hash_of(lab.path("got")) == lab.hash, f"leg {leg}: the downloaded file differs")
        os.unlink(lab.path("got"))


def nginx_many_requests(lab):
    """Many requests on one kept connection, then the same on new ones."""
    with open(f"{lab.www}/small", "w") as file:
        file.write("0123456789" * 100)
    count = scaled(2000, 100)
    for leg in LEGS:
        url = f"http://{topology.RELAY4}:{port_of(leg, 80)}/small?[1-{count}]"
        before = flows_ended(lab)
        answers = services.client(lab.net.visitor, "curl", "-sSf", url)
        check(answers == "0123456789" * 100 * count, f"leg {leg}: {len(answers)} characters of {count * 1000}")
        check(flows_ended(lab) - before <= 1, f"leg {leg}: the connection was not kept")
        once = services.client(lab.net.visitor, "curl", "-sSf", "-H", "Connection: close",
                               url.replace(str(count), str(count // 10)))
        check(once == "0123456789" * 100 * (count // 10), f"leg {leg}: short connections")


def flows_ended(lab):
    return len(lab.relay.ctl.recent())


def redis_load(lab):
    for leg in LEGS:
        out = services.client(lab.net.visitor, "redis-benchmark", "-h", topology.RELAY4, "-p", port_of(leg, 6379), "-n",
                              scaled(20000, 1000), "-c", 50, "-P", 4, "-d", 512, "-t", "set,get,lrange_100", "-q")
        note(f"leg {leg}: {' | '.join(line.split('requests')[0].strip() for line in out.replace(chr(13), chr(10)).splitlines() if 'per second' in line)}")


def mariadb_rows(lab):
    """A result of some MiB, whose sum is known."""
    make = ("CREATE OR REPLACE TABLE big AS SELECT seq AS n, REPEAT(CHAR(65 + seq % 26), 200) AS t FROM seq_1_to_50000;")
    for leg in LEGS:
        words = ("mariadb", "--no-defaults", "-h", topology.RELAY4, "-P", port_of(leg, 3306), "-u", "nf", "-psecret",
                 "--protocol=tcp", "-N", "-B", "shop", "-e")
        services.client(lab.net.visitor, *words, make)
        rows = services.client(lab.net.visitor, *words, "SELECT n, t FROM big ORDER BY n").splitlines()
        right = all(row == f"{n}\t{chr(65 + n % 26) * 200}" for n, row in enumerate(rows, start=1))
        check(len(rows) == 50000 and right, f"leg {leg}: {len(rows)} rows, right: {right}")


main(set_up, scp_both_ways, nginx_large_file, nginx_many_requests, redis_load, mariadb_rows, needs=PROGRAMS)
