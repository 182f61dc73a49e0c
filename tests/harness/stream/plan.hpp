// SPDX-License-Identifier: GPL-2.0-only
// Plan: what one side of a test connection does, drawn from a seeded generator before it begins. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>

namespace nfr::stream {

using Random = std::mt19937_64;

enum class Kind {
  kBytes,     ///< sends `size` bytes
  kPingPong,  ///< sends a block, waits for one of the peer's, and so on; `size` is a multiple of `block`
};

struct Plan {
  Kind kind = Kind::kBytes;
  std::uint64_t size = 0;                          ///< bytes this side sends
  std::uint64_t reply_size = 0;                    ///< bytes the server sends if it lets the client decide
  std::uint32_t block = 0;                         ///< ping-pong
  std::uint32_t write_size = 1;                    ///< at most so many bytes a send
  std::uint32_t read_size = 1;                     ///< at most so many bytes a receive
  std::uint32_t read_pause_us = 0;                 ///< slow reader: after each receive, for the first bytes
  std::uint32_t read_delay_ms = 0;                 ///< before the first receive
  std::uint64_t pause_at = 0;                      ///< offset of the pause
  std::uint32_t pause_ms = 0;                      ///< idle in the middle; 0: never
  int receive_buffer = 0;                          ///< SO_RCVBUF; 0: the kernel's
  bool fin_with_data = false;                      ///< the last bytes and FIN leave in one segment
  std::optional<std::uint64_t> reset_at_sent;      ///< RST once so many bytes were sent
  std::optional<std::uint64_t> reset_at_received;  ///< RST once so many bytes were received
};

/// What to draw from.
struct Mixture {
  std::string kind = "mix";             ///< mix | up | down | both | pingpong
  std::uint64_t size_max = 1ULL << 20;  ///< log-distributed up to this; for the other kinds the size itself
  unsigned reset_percent = 15;
  bool server_decides = true;  ///< some servers speak first, without waiting for the client's first bytes
};

Plan client_plan(Random& random, const Mixture& mixture);
/// A server's, independent of the client.
Plan server_plan(Random& random, const Mixture& mixture);
/// A server's that follows what the client's plan asks for.
Plan reply_plan(Random& random, const Mixture& mixture, const Plan& client);
bool server_speaks_first(Random& random, const Mixture& mixture);

}  // namespace nfr::stream
