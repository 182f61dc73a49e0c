// SPDX-License-Identifier: GPL-2.0-only
// Digests, MACs and comparison against published vectors; the channel key derivation against its definition.
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "tls/tls.hpp"

namespace nfr::tls {
namespace {

const OpenSslCrypto kCrypto;

TEST(Crypto, Sha256Vectors) {  // FIPS 180-2 appendix B
  EXPECT_EQ(hex(kCrypto.sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(kCrypto.sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Crypto, HmacVectors) {  // RFC 4231 cases 2 and 6
  EXPECT_EQ(hex(kCrypto.hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const std::string long_key(131, '\xaa');
  EXPECT_EQ(
      hex(kCrypto.hmac_sha256(as_bytes(long_key), as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(hex(kCrypto.hmac_sha256({}, {})), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Crypto, EqualComparesEveryByteAndTheSize) {
  const std::string text = "0123456789abcdef";
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = static_cast<char>(other[i] ^ 1);
    EXPECT_FALSE(kCrypto.equal(as_bytes(text), as_bytes(other))) << i;
    EXPECT_FALSE(kCrypto.equal(as_bytes(text), as_bytes(text).first(i))) << i;
  }
  EXPECT_TRUE(kCrypto.equal(as_bytes(text), as_bytes(std::string(text))));
  EXPECT_TRUE(kCrypto.equal({}, {}));
}

TEST(Crypto, ChannelPskIsAMacOfTheNumber) {
  core::SessionKeys keys;
  keys.channel_psk.fill(std::byte{7});
  keys.to_agent.fill(std::byte{1});
  using namespace std::string_view_literals;
  EXPECT_EQ(channel_psk(kCrypto, keys, 0x0102030405060708),
            kCrypto.hmac_sha256(keys.channel_psk, as_bytes("nf psk\x01\x02\x03\x04\x05\x06\x07\x08"sv)));
  EXPECT_NE(channel_psk(kCrypto, keys, 1), channel_psk(kCrypto, keys, 2));
  core::SessionKeys other = keys;
  other.channel_psk[31] = std::byte{8};
  EXPECT_NE(channel_psk(kCrypto, keys, 1), channel_psk(kCrypto, other, 1));
}

}  // namespace
}  // namespace nfr::tls
