// SPDX-License-Identifier: GPL-2.0-only
// Ledger: what every sender did, by key, and the verdict when its receiver ends: exact + EOF, prefix + error, or a
// violation (prefix + clean EOF, a wrong byte, a doubled one). Single thread; knows no sockets.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>

#include "stream/plan.hpp"
#include "stream/sequence.hpp"

namespace nfr::stream {

enum class Role { kClient, kServer };

/// One direction as its sender sees it.
struct Sender {
  Role role{};
  Plan plan;
  std::uint64_t sent = 0;
  Hash hash;
  bool finished = false;  ///< everything sent and FIN
  bool did_reset = false;
  bool paired = false;  ///< some receiver has seen the key
};

/// One direction as its receiver sees it.
struct Receiver {
  Role role{};
  std::optional<std::uint64_t> peer_key;  ///< known from either direction's first bytes
  std::uint64_t received = 0;
  std::uint64_t prefix = 0;  ///< the first bytes, until the key is whole
  Hash hash;
};

struct Totals {
  std::uint64_t connections = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t exact = 0;        ///< directions
  std::uint64_t broken = 0;       ///< directions that ended with an error for a reason
  std::uint64_t unexplained = 0;  ///< ... without one: nobody reset, nothing was killed
  std::uint64_t stuck = 0;
  std::uint64_t violations = 0;
  std::uint64_t bytes = 0;
};

class Ledger {
 public:
  /// `faults`: somebody outside kills processes, so errors need no explanation.
  explicit Ledger(bool faults) : faults_(faults) {}

  std::uint64_t open(Random& random, Role role);
  Sender& sender(std::uint64_t key) { return senders_.at(key); }
  Sender* find(std::uint64_t key);

  /// The receiver's peer is known from the other direction.
  void bind(Receiver& receiver, std::uint64_t key);
  /// Bytes at the receiver. False after a violation.
  bool on_bytes(Receiver& receiver, std::span<const std::byte> bytes);
  void on_finished(std::uint64_t key);
  void on_eof(Receiver& receiver);
  /// `own_key`: the direction back, whose side may itself have reset.
  void on_error(Receiver& receiver, std::uint64_t own_key, const std::string& why);
  void on_stuck(const Receiver& receiver, std::uint64_t own_key);

  Totals totals;

 private:
  using Small = std::tuple<Role, std::uint64_t, std::uint64_t>;  // who sent it, size, the bytes

  bool violation(const std::string& text);
  bool take_key(Receiver& receiver, std::span<const std::byte> bytes);
  void on_small_eof(Receiver& receiver);

  bool faults_;
  std::unordered_map<std::uint64_t, Sender> senders_;
  std::multiset<Small> small_;  ///< finished directions too short to carry their key
};

}  // namespace nfr::stream
