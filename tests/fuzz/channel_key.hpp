// SPDX-License-Identifier: GPL-2.0-only
// Keys and stand-in crypto that the channel targets and the seed writer share, so that the committed inputs are valid
// under them.
#pragma once

#include "harness/sim/basics.hpp"
#include "proto/preface.hpp"

namespace nfr::fuzz {

inline const core::Key kKey{std::byte{0x6e}, std::byte{0x66}};
inline const proto::ChannelName kChannel{core::SessionId{0x1122334455667788}, NFR_PREFACE_POOL, 42};
inline const sim::SimCrypto kCrypto;

/// Takes every MAC for right, so that what stands behind the MAC is reached too.
class CreditCrypto final : public core::Crypto {
 public:
  core::Digest sha256(std::span<const std::byte> data) const override { return kCrypto.sha256(data); }
  core::Digest hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> data) const override {
    return kCrypto.hmac_sha256(key, data);
  }
  bool equal(std::span<const std::byte> a, std::span<const std::byte> b) const override { return a.size() == b.size(); }
};

inline const CreditCrypto kCreditCrypto;

}  // namespace nfr::fuzz
