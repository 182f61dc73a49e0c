// SPDX-License-Identifier: GPL-2.0-only
// START of a channel, as the agent reads it: with the real check of the MAC, and with one that lets every MAC pass.
#include "proto/start.hpp"

#include <algorithm>

#include "fuzz/channel_key.hpp"
#include "fuzz/target.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto bytes = as_bytes(input);
  const auto genuine = proto::decode_start(kCrypto, kKey, kChannel, bytes);
  const auto start = proto::decode_start(kCreditCrypto, kKey, kChannel, bytes);
  if (!start) {
    NFR_HOLDS(!genuine);
    return NFR_HOLDS(printable(start.error().message()));
  }
  const auto encoded = proto::encode_start(kCrypto, kKey, kChannel, *start);
  constexpr std::size_t kFields = NFR_START_BYTES - NFR_MAC_BYTES;
  NFR_HOLDS(std::ranges::equal(std::span(encoded).first(kFields), bytes.first(kFields)));
  NFR_HOLDS(genuine.ok() == std::ranges::equal(encoded, bytes));
}
