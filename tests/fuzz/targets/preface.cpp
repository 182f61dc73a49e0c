// SPDX-License-Identifier: GPL-2.0-only
// Preface of a channel: 40 bytes of a stranger. A MAC is right only on the bytes that the encoder writes.
#include "proto/preface.hpp"

#include <algorithm>

#include "fuzz/channel_key.hpp"
#include "fuzz/target.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto bytes = as_bytes(input);
  const auto preface = proto::parse_preface(bytes);
  const bool genuine = proto::verify_preface(kCrypto, kKey, bytes).ok();
  if (!preface) return NFR_HOLDS(printable(preface.error().message()));
  const auto encoded = proto::encode_preface(kCrypto, kKey, *preface);
  NFR_HOLDS(std::ranges::equal(std::span(encoded).first(24), bytes.first(24)));
  NFR_HOLDS(genuine == std::ranges::equal(encoded, bytes));
}
