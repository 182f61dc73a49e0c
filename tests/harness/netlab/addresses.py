# SPDX-License-Identifier: GPL-2.0-only
"""The addresses that the documentation uses, inside a lab: 203.0.113.5 is the relay, 198.51.100.7 the visitor."""
from .topology import RELAY4, TUNNEL4, VISITOR4

RELAY, VISITOR = "203.0.113.5", "198.51.100.7"
HOSTS = f"{RELAY} relay.example"


def lay(net):
    """The agent reaches the relay by it too. Nothing leaves the three namespaces."""
    net.relay.ip("addr", "add", f"{RELAY}/32", "dev", "r0")
    net.visitor.ip("addr", "add", f"{VISITOR}/32", "dev", "v0")
    net.visitor.ip("route", "add", f"{RELAY}/32", "via", RELAY4, "src", VISITOR)
    net.relay.ip("route", "add", f"{VISITOR}/32", "via", VISITOR4)
    net.agent.ip("route", "add", f"{RELAY}/32", "via", TUNNEL4)
