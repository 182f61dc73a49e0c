# SPDX-License-Identifier: GPL-2.0-only
"""A laboratory of network namespaces for tests with the real daemons: visitor -- relay -- agent.

Used by tests/netns. Python 3.11, standard library only. Start reading in case.py (how a test runs) and topology.py
(what it runs in).
"""
