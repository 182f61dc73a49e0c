/* SPDX-License-Identifier: GPL-2.0-only */
/* Contract between nfrelayd and nfctl: schema version, limits, command names, exit codes of nfctl.
 * Described in docs/admin-api.md. C that is also C++. A change here is a change of the admin API. */
#ifndef NFR_ADMIN_ADMIN_H
#define NFR_ADMIN_ADMIN_H

/* The "v" of every request and answer. */
#define NFR_ADMIN_VERSION 1

#define NFR_ADMIN_SOCKET_NAME "ctl.sock"
#define NFR_ADMIN_SOCKET_PATH "/run/netferry/ctl.sock"

/* Bytes of one request line without its newline; one answer line likewise. A file of 10,000 mappings fits (apply). */
#define NFR_ADMIN_REQUEST_MAX (4 * 1024 * 1024)
#define NFR_ADMIN_ANSWER_MAX (64 * 1024 * 1024)
/* Arrays and objects inside one another in a request. */
#define NFR_ADMIN_DEPTH_MAX 16
/* Connections at once; requests of one connection whose answers were not written yet. */
#define NFR_ADMIN_CONNECTIONS_MAX 64
#define NFR_ADMIN_OUTSTANDING_MAX 16
/* A connection that neither finishes a request nor takes an answer for so long is closed. */
#define NFR_ADMIN_IDLE_MS 60000

/* Every command of nfrelayd: X(name on the wire, what it does). */
#define NFR_ADMIN_COMMANDS(X)                                         \
  X("agent.add", "makes an agent and its one-time join line")         \
  X("agent.list", "every agent and its state")                        \
  X("agent.revoke", "forbids an agent and cuts its flows")            \
  X("agent.rejoin", "makes another join line for an agent")           \
  X("agent.remove", "forgets an agent with its mappings")             \
  X("agent.set", "sets what an agent may ask for by itself")          \
  X("agent.rename", "gives an agent another name")                    \
  X("map", "publishes a target of an agent")                          \
  X("check", "tells again what map told")                             \
  X("admit", "sets which visitors a mapping takes")                   \
  X("unmap", "takes a public endpoint back")                          \
  X("maps", "every mapping")                                          \
  X("apply", "makes the operator's mappings those of a file")         \
  X("export", "the operator's lasting mappings, as apply takes them") \
  X("flows", "running flows, or the recent events")                   \
  X("events", "who changed what when")                                \
  X("status", "the relay as a whole")                                 \
  X("reload", "reads relay.toml again")                               \
  X("key.rotate", "makes the next relay key the current one")         \
  X("key.show", "the relay's keys")                                   \
  X("version", "the relay's version")

/* Exit codes of nfctl. */
#define NFR_EXIT_OK 0            /* done */
#define NFR_EXIT_FAILED 1        /* the relay answered with an error */
#define NFR_EXIT_USAGE 2         /* the command line cannot be understood */
#define NFR_EXIT_UNREACHABLE 3   /* no relay, no answer, or an answer that breaks the protocol */
#define NFR_EXIT_NOT_PERMITTED 4 /* the socket may not be opened, or the relay answered "denied" */

#endif
