// SPDX-License-Identifier: GPL-2.0-only
#include "stream/ledger.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nfr::stream {
namespace {

Role other(Role role) { return role == Role::kClient ? Role::kServer : Role::kClient; }

const char* name(Role role) { return role == Role::kClient ? "client" : "server"; }

std::uint64_t prefix_of(std::uint64_t key, std::uint64_t size) {
  return size >= kKeyBytes ? key : key & ((std::uint64_t{1} << (8 * size)) - 1);  // little-endian hosts
}

std::string describe(std::uint64_t key, const Sender& sender) {
  return fmt::format("{}'s stream {:016x} ({} of {} bytes sent, {})", name(sender.role), key, sender.sent,
                     sender.plan.size,
                     sender.did_reset  ? "reset"
                     : sender.finished ? "finished"
                                       : "unfinished");
}

}  // namespace

std::uint64_t Ledger::open(Random& random, Role role) {
  std::uint64_t key = random();
  while (senders_.contains(key)) key = random();
  senders_[key].role = role;
  return key;
}

Sender* Ledger::find(std::uint64_t key) {
  const auto found = senders_.find(key);
  return found != senders_.end() ? &found->second : nullptr;
}

bool Ledger::violation(const std::string& text) {
  ++totals.violations;
  fmt::print(stderr, "VIOLATION: {}\n", text);
  std::fflush(stderr);
  return false;
}

/// Gathers the first eight bytes.
bool Ledger::take_key(Receiver& receiver, std::span<const std::byte> bytes) {
  const std::size_t count = std::min<std::size_t>(kKeyBytes - receiver.received, bytes.size());
  std::memcpy(reinterpret_cast<char*>(&receiver.prefix) + receiver.received, bytes.data(), count);
  if (receiver.received + count < kKeyBytes) return true;
  Sender* sender = find(receiver.prefix);
  if (sender == nullptr || sender->role == receiver.role) {
    return violation(
        fmt::format("{} received the key {:016x}, which no peer has", name(receiver.role), receiver.prefix));
  }
  if (receiver.peer_key && *receiver.peer_key != receiver.prefix) {
    return violation(fmt::format("{} received the key {:016x} on a connection with {:016x}", name(receiver.role),
                                 receiver.prefix, *receiver.peer_key));
  }
  bind(receiver, receiver.prefix);
  return true;
}

void Ledger::bind(Receiver& receiver, std::uint64_t key) {
  if (receiver.peer_key) return;
  receiver.peer_key = key;
  Sender& sender = senders_.at(key);
  sender.paired = true;
  if (!sender.finished || sender.plan.size >= kKeyBytes) return;
  const auto kept = small_.find({sender.role, sender.plan.size, prefix_of(key, sender.plan.size)});
  if (kept != small_.end()) small_.erase(kept);
}

bool Ledger::on_bytes(Receiver& receiver, std::span<const std::byte> bytes) {
  if (receiver.received < kKeyBytes && !take_key(receiver, bytes)) return false;
  const std::uint64_t offset = receiver.received;
  receiver.received += bytes.size();
  receiver.hash.add(bytes);
  totals.bytes += bytes.size();
  if (receiver.received < kKeyBytes) return true;
  const Sender& sender = senders_.at(*receiver.peer_key);
  if (const auto wrong = first_wrong(*receiver.peer_key, offset, bytes)) {
    return violation(
        fmt::format("wrong byte at offset {} of {}", offset + *wrong, describe(*receiver.peer_key, sender)));
  }
  if (receiver.received > sender.sent) {
    return violation(fmt::format("{} bytes received of {}", receiver.received, describe(*receiver.peer_key, sender)));
  }
  return true;
}

void Ledger::on_finished(std::uint64_t key) {
  Sender& sender = senders_.at(key);
  sender.finished = true;
  if (sender.plan.size < kKeyBytes && !sender.paired)
    small_.insert({sender.role, sender.plan.size, prefix_of(key, sender.plan.size)});
}

void Ledger::on_eof(Receiver& receiver) {
  if (!receiver.peer_key) return on_small_eof(receiver);
  const Sender& sender = senders_.at(*receiver.peer_key);
  if (!sender.finished || receiver.received != sender.plan.size) {
    violation(fmt::format("clean EOF after {} bytes of {}", receiver.received, describe(*receiver.peer_key, sender)));
  } else if (receiver.hash.value() != sender.hash.value()) {
    violation(fmt::format("the hashes differ: {}", describe(*receiver.peer_key, sender)));
  } else {
    ++totals.exact;
  }
}

// Too short to tell whose it was: somebody must have sent exactly this and ended in order.
void Ledger::on_small_eof(Receiver& receiver) {
  const auto found = small_.find({other(receiver.role), receiver.received, receiver.prefix});
  if (found == small_.end()) {
    violation(fmt::format("{}: clean EOF after {} bytes that nobody ended so", name(receiver.role), receiver.received));
    return;
  }
  small_.erase(found);
  ++totals.exact;
}

void Ledger::on_error(Receiver& receiver, std::uint64_t own_key, const std::string& why) {
  const Sender& own = senders_.at(own_key);
  const Sender* peer = receiver.peer_key ? find(*receiver.peer_key) : nullptr;
  // A peer that reset before its first byte arrived cannot be told from another that did.
  if (faults_ || own.did_reset || (peer != nullptr ? peer->did_reset : true)) {
    ++totals.broken;
    return;
  }
  ++totals.unexplained;
  fmt::print(stderr, "UNEXPLAINED: {} got {} after {} bytes of {}\n", name(receiver.role), why, receiver.received,
             describe(*receiver.peer_key, *peer));
}

void Ledger::on_stuck(const Receiver& receiver, std::uint64_t own_key) {
  ++totals.stuck;
  const Sender* peer = receiver.peer_key ? find(*receiver.peer_key) : nullptr;
  fmt::print(stderr, "STUCK: {} received {} bytes of {}; sends {}\n", name(receiver.role), receiver.received,
             peer != nullptr ? describe(*receiver.peer_key, *peer) : "an unknown stream",
             describe(own_key, senders_.at(own_key)));
}

}  // namespace nfr::stream
