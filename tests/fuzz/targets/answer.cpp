// SPDX-License-Identifier: GPL-2.0-only
// READY or REFUSED, as the relay reads it: with the real check of the MAC, and with one that lets every MAC pass.
#include <algorithm>

#include "fuzz/channel_key.hpp"
#include "fuzz/target.hpp"
#include "proto/start.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto bytes = as_bytes(input);
  const auto genuine = proto::decode_answer(kCrypto, kKey, kChannel, bytes);
  const auto answer = proto::decode_answer(kCreditCrypto, kKey, kChannel, bytes);
  if (!answer) {
    NFR_HOLDS(!genuine);
    return NFR_HOLDS(printable(answer.error().message()));
  }
  const auto encoded = proto::encode_answer(kCrypto, kKey, kChannel, *answer);
  constexpr std::size_t kFields = NFR_ANSWER_BYTES - NFR_MAC_BYTES;
  NFR_HOLDS(std::ranges::equal(std::span(encoded).first(kFields), bytes.first(kFields)));
  NFR_HOLDS(genuine.ok() == std::ranges::equal(encoded, bytes));
}
