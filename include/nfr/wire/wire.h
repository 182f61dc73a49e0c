/* SPDX-License-Identifier: GPL-2.0-only */
/* Contract between relay and agent: versions, sizes, limits, message kinds. Described in docs/wire-protocol.md.
 * C that is also C++. Integers on the wire are big-endian. A change here is a protocol change. */
#ifndef NFR_WIRE_WIRE_H
#define NFR_WIRE_WIRE_H

/* Newest and oldest version these sources speak; tests/harness/wire_v1 is the first, for ever as it was. */
#define NFR_WIRE_VERSION 1
#define NFR_WIRE_VERSION_OLDEST 1
#define NFR_TUNNEL_PORT 7707

/* ALPN names: a session, and a channel whose leg is tls. */
#define NFR_ALPN_SESSION "nf/1"
#define NFR_ALPN_CHANNEL "nf-ch/1"

/* First byte on the tunnel port tells the protocols apart. */
#define NFR_FIRST_BYTE_TLS 0x16
#define NFR_FIRST_BYTE_PREFACE 'N'

/* TLS exporter labels (RFC 8446 7.5): MAC keys a direction, and the secret channel PSKs derive from. */
#define NFR_EXPORT_TO_AGENT "EXPORTER-netferry-channel-to-agent"
#define NFR_EXPORT_TO_RELAY "EXPORTER-netferry-channel-to-relay"
#define NFR_EXPORT_CHANNEL_PSK "EXPORTER-netferry-channel-psk"
#define NFR_KEY_BYTES 32
#define NFR_MAC_BYTES 16

/* Session messages: u32 length + JSON object. */
#define NFR_MESSAGE_MAX 65536
#define NFR_MESSAGE_MAX_BEFORE_LOGIN 4096
/* Mappings one agent may declare by itself. */
#define NFR_WISHES_MAX 64
/* How long an OPEN may ask its channel to stand ready for a visitor, milliseconds. */
#define NFR_CHANNEL_WAIT_MS_MAX 3600000

/* Preface: the first bytes of every channel.
 *  0  "NFP1"    4   8  session id u64   16  number u64   24  MAC 16
 *  4  version   1
 *  5  kind      1   (1 OPEN: number issued by the relay; 2 POOL is reserved and refused)
 *  6  zero      2 */
#define NFR_PREFACE_BYTES 40
#define NFR_PREFACE_OPEN 1
#define NFR_PREFACE_POOL 2

/* START, relay -> agent.
 *  0  kind 1 = 1    8  mapping id u64   20  visitor address (see below)   60  flow id u64   68  MAC 16
 *  1  version 1    16  zero u32         40  public address
 *  2  flags u16
 *  4  zero u32
 * An address is 20 bytes: family u8 (4 or 6), zero u8, port u16, address 16 (IPv4 in the first four). */
#define NFR_START_BYTES 84
/* So many of the visitor's bytes may stand behind START before READY has come. */
#define NFR_EARLY_BYTES_MAX 4096
/* READY or REFUSED, agent -> relay.
 *  0  kind 1 = 2 or 3   2  reason u16 (0 for READY)   8  flow id u64   16  MAC 16
 *  1  version 1         4  dial time us u32 */
#define NFR_ANSWER_BYTES 32
#define NFR_KIND_START 1
#define NFR_KIND_READY 2
#define NFR_KIND_REFUSED 3

/* Why an agent refuses a flow. Never renumbered. The list makes the enum, the names and the texts. */
#define NFR_REFUSE_REASONS(X)                                       \
  X(1, connection_refused, "connection refused")                    \
  X(2, timeout, "no answer from the target")                        \
  X(3, unreachable, "target unreachable")                           \
  X(4, not_allowed, "target is outside the agent's allow list")     \
  X(5, leg_not_allowed, "the agent demands leg tls")                \
  X(6, exhausted, "the agent is out of descriptors or memory")      \
  X(7, target_error, "the target cannot be dialled")                \
  X(8, agent_away, "agent away")                                    \
  X(9, no_channel, "the agent did not open a channel in time")      \
  X(10, bad_answer, "the channel broke before the target answered") \
  X(11, unknown_name, "the target's name cannot be resolved")

#endif
