/* SPDX-License-Identifier: GPL-2.0-only */
/* Contract between a running nfagent and the nfagent commands that talk to it (expose, status) over RUN/agent.sock:
 * framing, limits and version are those of admin.h. Described in docs/expose.md. C that is also C++. */
#ifndef NFR_ADMIN_AGENT_H
#define NFR_ADMIN_AGENT_H

/* Where the service's agent listens (packaging/systemd); tried when nothing else was named. */
#define NFR_AGENT_SERVICE_SOCKET "/run/netferry-agent/agent.sock"

/* Every command of nfagent's socket: X(name on the wire, what it does). One mapping a connection; it ends with it. */
#define NFR_AGENT_COMMANDS(X)                                            \
  X("expose", "asks the relay for a mapping as long as this connection") \
  X("expose.events", "what happened since; waits for something")         \
  X("expose.end", "takes the mapping back; answers when it is gone")     \
  X("status", "the agent as a whole")

/* Events kept for a client that does not ask; older ones are dropped and counted. */
#define NFR_AGENT_EVENTS_MAX 256
/* expose.events answers after so long at the latest, with nothing. */
#define NFR_AGENT_POLL_MS 20000

#endif
