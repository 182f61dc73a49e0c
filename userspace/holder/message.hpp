// SPDX-License-Identifier: GPL-2.0-only
// What relay and holder say to each other: fixed-size structs over a SOCK_SEQPACKET pair, one request a packet and
// one reply for each. Both ends are the same binary, so the layout is the machine's own. The holder checks every
// field here before anything acts on it; descriptors travel beside a reply (SCM_RIGHTS), never beside a request.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "holder/listener_source.hpp"
#include "net/address.hpp"

namespace nfr::holder {

inline constexpr std::uint32_t kMessageMagic = 0x6E667231;  // "nfr1": changes with the layout

enum class RequestType : std::uint32_t {
  kOpenListeners = 1,   ///< endpoint, kind, count; kAdmin has no endpoint and count 1
  kCloseListeners = 2,  ///< endpoint
  kRetainDone = 3,      ///< what was not opened again since the relay started is closed
  kReady = 4,           ///< the relay serves
};

struct Request {
  std::uint32_t magic = kMessageMagic;
  std::uint32_t type = 0;        ///< RequestType
  std::uint64_t request_id = 0;  ///< chosen by the relay, not 0; comes back in the reply
  std::uint8_t family = 0;       ///< 4, 6, or 0 where there is no endpoint
  std::uint8_t kind = 0;         ///< ListenerKind for kOpenListeners, else 0
  std::uint16_t port = 0;        ///< host byte order
  std::uint32_t count = 0;       ///< sockets wanted, 1..kSocketCountMax, for kOpenListeners, else 0
  std::array<std::uint8_t, 16> address{};  ///< network order; IPv4 in the first four, the rest 0
};
static_assert(sizeof(Request) == 40 && alignof(Request) == 8);

struct Reply {
  std::uint32_t magic = kMessageMagic;
  std::uint32_t status = 0;      ///< 0: done; else 1 + Code
  std::uint64_t request_id = 0;  ///< 0 answers a request that could not be read
  std::int32_t os_errno = 0;
  std::uint32_t fd_count = 0;     ///< descriptors beside this reply
  std::array<char, 64> owner{};   ///< who has the port, escaped, NUL-terminated; empty when unknown
};
static_assert(sizeof(Reply) == 88 && alignof(Reply) == 8);

/// A request after every field was checked.
struct CheckedRequest {
  RequestType type{};
  std::uint64_t request_id = 0;
  net::Endpoint endpoint;
  ListenerKind kind{};
  unsigned count = 0;
};

/// kProtocol with the field and its value when anything is out of range. Touches nothing but the bytes given.
Result<CheckedRequest> check_request(std::span<const std::byte> packet);

/// The id of a request that failed check_request, if its size and magic are right; else 0.
std::uint64_t request_id_of(std::span<const std::byte> packet);

/// kProtocol when size, magic, status or the text's end is wrong.
Result<Reply> check_reply(std::span<const std::byte> packet);

Request make_request(RequestType type, std::uint64_t request_id);
Request make_open(std::uint64_t request_id, const net::Endpoint& endpoint, ListenerKind kind, unsigned count);
Request make_close(std::uint64_t request_id, const net::Endpoint& endpoint);

Reply make_reply(std::uint64_t request_id);
Reply make_reply(std::uint64_t request_id, const OpenFailure& failure);
/// The failure a reply carries; status must not be 0.
OpenFailure failure_of(const Reply& reply);

}  // namespace nfr::holder
