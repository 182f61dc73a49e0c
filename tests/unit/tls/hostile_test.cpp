// SPDX-License-Identifier: GPL-2.0-only
// Bytes of strangers: truncations, alterations, garbage and floods end in a wait or an error, never in a connection.
#include <random>

#include "pair.hpp"
#include "tls/hello.hpp"

namespace nfr::tls {
namespace {

std::span<const unsigned char> raw(const std::string& text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

std::string hello_of(Engine& client) {
  EXPECT_TRUE(client.handshake());
  return client.take_output();
}

TEST(Hostile, ATruncatedHelloWaits) {
  const World world;
  const auto session = world.client();
  const auto channel = World::channel("5e55-1", key_of(1));
  for (const std::string& hello : {hello_of(*session), hello_of(*channel)}) {
    for (std::size_t length = 0; length < hello.size(); ++length) {
      const auto server = world.server();
      server->feed(as_bytes(hello).first(length));
      const auto result = server->handshake();
      ASSERT_TRUE(result) << length << ": " << result.error().message();
      ASSERT_EQ(*result, Engine::Progress::kWantMore) << length;
      ASSERT_FALSE(server->has_output()) << length;
    }
  }
  EXPECT_EQ(world.lookups, 0);
}

TEST(Hostile, AnAlteredHelloNeverConnects) {
  const World world;
  for (std::size_t position = 0;; ++position) {
    const auto client = position % 2 == 0 ? world.client() : World::channel("5e55-1", key_of(1));
    const auto server = world.server();
    std::string hello = hello_of(*client);
    if (position >= hello.size()) break;
    hello[position] = static_cast<char>(hello[position] ^ (1 << (position % 8)));
    server->feed(as_bytes(hello));
    (void)server->handshake();
    carry(*server, *client);
    (void)client->handshake();
    carry(*client, *server);
    const auto result = server->handshake();
    // Bytes 1 and 2 are the legacy record version, which TLS 1.3 ignores (RFC 8446 5.1) and nothing authenticates.
    if (position != 1 && position != 2) {
      ASSERT_FALSE(result.ok() && *result == Engine::Progress::kDone) << position;
    }
  }
}

TEST(Hostile, AnAlteredAnswerNeverConnects) {
  const World world;
  for (std::size_t position = 0;; position += 7) {
    const auto client = world.client();
    const auto server = world.server();
    ASSERT_TRUE(client->handshake());
    carry(*client, *server);
    ASSERT_TRUE(server->handshake());
    std::string answer = server->take_output();
    if (position >= answer.size()) break;
    const std::string before = answer;
    answer[position] = static_cast<char>(answer[position] ^ 0x20);
    client->feed(as_bytes(answer));
    const auto result = client->handshake();
    if (position != 1 && position != 2) {
      ASSERT_FALSE(result.ok() && *result == Engine::Progress::kDone) << position;
    }
  }
}

TEST(Hostile, GarbageIsAnError) {
  const World world;
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string garbage(64 + random() % 600, '\0');
    for (char& byte : garbage) byte = static_cast<char>(random());
    if (round % 3 == 1) garbage.replace(0, 3, "\x16\x03\x01");
    if (round % 3 == 2) garbage.replace(0, 9, std::string("\x16\x03\x01\x00\x30\x01\x00\x00\x2c", 9));
    const auto server = world.server();
    server->feed(as_bytes(garbage));
    const auto result = server->handshake();
    ASSERT_FALSE(result.ok() && *result == Engine::Progress::kDone);
    if (round % 3 != 1) {
      ASSERT_FALSE(result.ok()) << round;
    }
    const auto client = world.client();
    ASSERT_TRUE(client->handshake());
    client->feed(as_bytes(garbage));
    const auto seen = client->handshake();
    ASSERT_FALSE(seen.ok() && *seen == Engine::Progress::kDone);
  }
}

TEST(Hostile, OtherProtocolsGetAClearAnswer) {
  const World world;
  for (const char* words : {"GET / HTTP/1.1\r\nHost: relay\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "NFP1preface"}) {
    const auto server = world.server();
    server->feed(as_bytes(words));
    const auto result = server->handshake();
    ASSERT_FALSE(result) << words;
    EXPECT_NE(result.error().message().find("no TLS ClientHello"), std::string::npos) << result.error().message();
    const auto client = world.client();
    ASSERT_TRUE(client->handshake());
    client->feed(as_bytes(words));
    const auto seen = client->handshake();
    ASSERT_FALSE(seen) << words;
    EXPECT_NE(seen.error().message().find("tunnel port"), std::string::npos) << seen.error().message();
  }
}

TEST(Hostile, BytesBeforeTheHandshakeAreBounded) {
  const World world;
  const auto client = world.client();
  const std::string flood(16384, '\x16');
  for (int i = 0; i < 4; ++i) client->feed(as_bytes(flood));
  client->feed(as_bytes("x"));
  const auto result = client->handshake();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message().find("more than 65536 bytes"), std::string::npos) << result.error().message();
  client->feed(as_bytes(flood));
  EXPECT_FALSE(client->handshake()) << "final";
}

TEST(Hostile, AHugeClaimedHelloIsRefusedAtItsNinthByte) {
  const World world;
  const std::string head("\x16\x03\x01\x40\x00\x01\x01\xff\xff", 9);
  for (const bool at_once : {true, false}) {
    const auto server = world.server();
    for (std::size_t i = 0; i < 8 && !at_once; ++i) {
      server->feed(as_bytes(head).subspan(i, 1));
      ASSERT_TRUE(server->handshake()) << i;
    }
    server->feed(at_once ? as_bytes(head) : as_bytes(head).subspan(8));
    const auto result = server->handshake();
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message().find("claims more than 16384 bytes"), std::string::npos);
  }
}

TEST(Hostile, HelloHeadRules) {
  using namespace std::string_literals;
  const std::string good = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"s;
  for (std::size_t length = 0; length <= good.size(); ++length) {
    EXPECT_TRUE(plausible_hello_head(raw(good.substr(0, length)))) << length;
  }
  EXPECT_TRUE(plausible_hello_head(raw("\x16\x03\x01\x02\x00\x01\x00\x40\x00"s)));
  EXPECT_FALSE(plausible_hello_head(raw("\x16\x03\x01\x02\x00\x01\x00\x40\x01"s)));
  EXPECT_FALSE(plausible_hello_head(raw("\x16\x03\x01\x00\x03"s))) << "a header split over records";
  EXPECT_FALSE(plausible_hello_head(raw("\x16\x03\x01\x00\x10\x02"s))) << "not a ClientHello";
  EXPECT_FALSE(plausible_hello_head(raw("\x17"s)));
  EXPECT_FALSE(plausible_hello_head(raw("\x16\x02"s)));
}

TEST(Hostile, AlpnListsAreReadExactly) {
  using namespace std::string_literals;
  EXPECT_EQ(count_alpn(raw("\x00\x05\x04nf/1"s), "nf/1"), 1U);
  EXPECT_EQ(count_alpn(raw("\x00\x08\x02h2\x04nf/1"s), "nf/1"), 1U);
  EXPECT_EQ(count_alpn(raw("\x00\x03\x02h2"s), "nf/1"), 0U);
  EXPECT_EQ(count_alpn(raw("\x00\x05\x04nf/1x"s), "nf/1"), std::nullopt) << "trailing byte";
  EXPECT_EQ(count_alpn(raw("\x00\x06\x04nf/1"s), "nf/1"), std::nullopt) << "too short";
  EXPECT_EQ(count_alpn(raw("\x00\x05\x05nf/1"s), "nf/1"), std::nullopt) << "entry too long";
  EXPECT_EQ(count_alpn(raw("\x00\x06\x00\x04nf/1"s), "nf/1"), std::nullopt) << "empty entry";
  EXPECT_EQ(count_alpn(raw("\x00\x00"s), "nf/1"), std::nullopt);
  EXPECT_EQ(count_alpn(raw(""s), "nf/1"), std::nullopt);
}

TEST(Hostile, PskListsAreReadExactly) {
  using namespace std::string_literals;
  const std::string binders = "\x00\x02\x01x"s;
  EXPECT_EQ(only_psk_identity(raw("\x00\x08\x00\x02id\x00\x00\x00\x00"s + binders)), "id");
  EXPECT_EQ(only_psk_identity(raw("\x00\x10\x00\x02id\x00\x00\x00\x00\x00\x02io\x00\x00\x00\x00"s + binders)),
            std::nullopt)
      << "two";
  EXPECT_EQ(only_psk_identity(raw("\x00\x06\x00\x00\x00\x00\x00\x00"s + binders)), std::nullopt) << "empty";
  const std::string whole = "\x00\x08\x00\x02id\x00\x00\x00\x00"s;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(only_psk_identity(raw(whole.substr(0, length))), std::nullopt) << length;
  }
}

TEST(Hostile, KeySharesAreReadExactly) {
  using namespace std::string_literals;
  EXPECT_TRUE(has_usable_share(raw("\x00\x05\x00\x1d\x00\x01x"s)));
  EXPECT_TRUE(has_usable_share(raw("\x00\x0a\x00\x18\x00\x01x\x00\x17\x00\x01x"s)));
  EXPECT_FALSE(has_usable_share(raw("\x00\x05\x00\x18\x00\x01x"s)));
  EXPECT_FALSE(has_usable_share(raw("\x00\x00"s)));
  EXPECT_FALSE(has_usable_share(raw("\x00\x05\x00\x1d\x00\x02x"s)));
  EXPECT_FALSE(has_usable_share(raw("\x00\x07\x00\x1d\x00\x01x\x00\x17"s))) << "broken behind a good one";
}

}  // namespace
}  // namespace nfr::tls
