// SPDX-License-Identifier: GPL-2.0-only
// The listening TCP sockets of one relay instance: opened once, kept across deaths of the relay process, handed out
// again by endpoint. Used by the holder's loop and, with --single, by LocalPorts; one thread. Accepts nothing.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "base/fd.hpp"
#include "holder/listener_source.hpp"
#include "net/address.hpp"

namespace nfr::holder {

class ListenerTable {
 public:
  struct Opened {
    std::span<const int> sockets;  ///< owned by the table; valid until the next call that changes it
    std::optional<OpenFailure> failure;
  };

  /// At most this many sockets are held at a time; beyond it open() fails with EMFILE.
  explicit ListenerTable(std::size_t socket_count_max = 16384) : socket_count_max_(socket_count_max) {}

  /// Sockets: listening, non-blocking, close-on-exec, one SO_REUSEPORT group. A held endpoint keeps its sockets and
  /// what is queued in them; the group grows or shrinks to `count` (1..kSocketCountMax). Claims the group for the
  /// present relay process. A port shared with any other program is refused, also where SO_REUSEPORT would allow it.
  Opened open(const net::Endpoint& endpoint, ListenerKind kind, unsigned count);

  /// False when the endpoint is not held. Visitors queued in it are reset by the kernel unless the relay has copies.
  bool close(const net::Endpoint& endpoint);

  void forget_claims();           ///< the relay process died
  std::size_t close_unclaimed();  ///< returns how many groups

  /// Public sockets that no relay process has claimed: only the table holds them.
  std::vector<int> unclaimed_public() const;

  std::size_t socket_count() const { return socket_count_; }
  /// The ports held; and a number that changes whenever they do.
  std::set<std::uint16_t> ports() const;
  std::uint64_t generation() const { return generation_; }

 private:
  // By port first: what can conflict stands together.
  struct ByPort {
    bool operator()(const net::Endpoint& a, const net::Endpoint& b) const {
      return std::tie(a.port, a.address) < std::tie(b.port, b.address);
    }
  };
  struct Group {
    std::vector<Fd> owned;
    std::vector<int> sockets;  // the same, as handed out
    net::Endpoint bound;       // what bind() got: a wildcard is [::] where there is IPv6
    ListenerKind kind = ListenerKind::kPublic;
    bool claimed = false;
  };

  std::optional<OpenFailure> conflict(const net::Endpoint& key, ListenerKind kind) const;
  std::optional<OpenFailure> create(Group& group, const net::Endpoint& key);
  std::optional<OpenFailure> resize(Group& group, unsigned count);
  std::optional<OpenFailure> add_socket(Group& group, bool first);

  void drop_socket(Group& group);

  std::map<net::Endpoint, Group, ByPort> groups_;
  std::size_t socket_count_ = 0;
  std::uint64_t generation_ = 0;
  std::size_t socket_count_max_;
};

}  // namespace nfr::holder
