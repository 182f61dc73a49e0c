# SPDX-License-Identifier: GPL-2.0-only
"""docs/services: every command of every page is run on the machine that its prompt names, with the Debian packages'
own configuration, and must print what the page shows. NFR_PAGE=redis.md runs that page alone."""
import os

import harness  # noqa: F401
from netlab import addresses, pages
from netlab.case import check, check_in, main, note
from netlab.machines import Machine
from netlab.units import UNITS

PROGRAMS = ("redis-server", "redis-cli", "mariadbd", "mariadb", "psql", "sshd", "ssh", "nginx", "curl", "x11vnc",
            "vncsnapshot")
# What must have a page; a page more is welcome and is run as well.
PAGES = {"redis.md", "mariadb.md", "postgresql.md", "openssh.md", "nginx.md", "websocket.md", "vnc.md"}


def set_up(lab):
    addresses.lay(lab.net)
    lab.start_relay(public=(addresses.RELAY,))
    lab.machines = {"relay": Machine(lab, "relay", lab.net.relay, addresses.HOSTS),
                    "client1": Machine(lab, "client1", lab.net.agent, addresses.HOSTS, UNITS),
                    "visitor": Machine(lab, "visitor", lab.net.visitor, addresses.HOSTS)}
    agent = lab.add_agent("client1", namespace=lab.machines["client1"])
    lab.machines["relay"].do("ln", "-s", lab.relay.run_dir, "/run/netferry", user="root")
    lab.machines["client1"].do("sh", "-c", 'mkdir -p /var/lib/netferry /etc/netferry && ln -s "$0" /var/lib/netferry/agent'
                               ' && ln -s "$1" /run/netferry && cp "$2" /etc/netferry/agent.toml', agent.state,
                               os.path.join(agent.directory, "run"), agent.config, user="root")
    lab.machines["visitor"].let_in(lab.machines["client1"])


def planted_pages(lab):
    """The runner itself, with the lab's machines: pages that lie must not pass."""
    for line, why in (("visitor$ echo one\ntwo", "does not print `two`"), ("relay# nfctl unmap 1", "exit 1"),
                      ("moon# true", "no machine moon"), ("client1# systemctl restart moon", "no unit moon")):
        try:
            pages.run("planted", f"```console\n{line}\n```\n", lab.machines)
        except AssertionError as refused:
            check_in(why, str(refused), line)
        else:
            raise AssertionError(f"a page with {line!r} passed")


def every_page(lab):
    names = pages.names()
    check(PAGES <= set(names), f"no page for: {', '.join(sorted(PAGES - set(names)))}")
    index = pages.load("README.md")
    for name in names:
        check(f"]({name})" in index, f"docs/services/README.md does not link {name}")
    for name in names:
        if os.environ.get("NFR_PAGE", name) == name:
            note(f"{name}: {pages.run(name, pages.load(name), lab.machines)} commands")


if __name__ == "__main__":
    main(set_up, planted_pages, every_page, needs=PROGRAMS)
