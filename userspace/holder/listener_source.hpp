// SPDX-License-Identifier: GPL-2.0-only
// Where the relay's control thread gets its listening sockets from: the holder process (HolderClient) or, with
// --single, this process (LocalPorts). One face, so that the rest of the relay does not know which.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "net/address.hpp"

namespace nfr::holder {

inline constexpr unsigned kSocketCountMax = 64;  ///< SO_REUSEPORT sockets of one endpoint

enum class ListenerKind : std::uint8_t {
  kPublic = 1,  ///< visitors; reset by the holder while no relay serves
  kTunnel = 2,  ///< agents: sessions and channels
  kAdmin = 3,   ///< RUN/ctl.sock; has no endpoint
};

/// Why an endpoint could not be opened, in the pieces that cross the process border.
struct OpenFailure {
  Code code = Code::kSystem;
  int os_errno = 0;   ///< of the system call that failed, 0 when none did
  std::string owner;  ///< who has the port, escaped, at most 63 bytes; empty when unknown
};

/// The failure as people read it: names the value, the reason, and what to do.
Error describe(const net::Endpoint& endpoint, const OpenFailure& failure);

class ListenerSource {
 public:
  /// The sockets: listening, non-blocking, close-on-exec; owned by the callee. Shares their backlog with the source.
  using Opened = std::function<void(Result<std::vector<Fd>>)>;

  virtual ~ListenerSource() = default;

  /// `done` is called exactly once, on the calling thread, possibly before this returns. count: 1..kSocketCountMax
  /// (asserted). An endpoint that is held already gives the same sockets again, with what is queued in them. A
  /// wildcard address means every address of both families. Errors: kExists names who has the port; kDenied,
  /// kInvalid, kExhausted, kSystem. `done` must not destroy the source.
  virtual void open(const net::Endpoint& endpoint, ListenerKind kind, unsigned count, Opened done) = 0;

  /// The listener of RUN/ctl.sock, one socket.
  virtual void open_admin(Opened done) = 0;

  /// The source gives up its copies; the port is free once the caller closed its own. Unknown endpoint: no effect.
  virtual void close(const net::Endpoint& endpoint) = 0;

  /// After a start: everything wanted has been opened; listeners kept from an earlier relay process are closed.
  virtual void retain_done() = 0;

  /// The relay serves: tells the service manager.
  virtual void ready() = 0;
};

}  // namespace nfr::holder
