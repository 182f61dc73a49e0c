// SPDX-License-Identifier: GPL-2.0-only
// Who gets in by which door: pins, certificates, channel keys, ALPN, exporters. Both roles in memory.
#include <openssl/core_names.h>

#include <thread>

#include "nfr/wire/wire.h"
#include "pair.hpp"

namespace nfr::tls {
namespace {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

const std::string kSessionList = "\x04nf/1";
const std::string kChannelList = "\x07nf-ch/1";

template <class T>
AssertionResult failed(const Result<T>& result, Code code, const std::string& words) {
  if (result) return AssertionFailure() << "no error";
  const std::string& text = result.error().message();
  if (result.error().code() != code) return AssertionFailure() << code_name(result.error().code()) << ": " << text;
  if (text.find(words) == std::string::npos) return AssertionFailure() << "no \"" << words << "\" in: " << text;
  return AssertionSuccess();
}

void use_identity(RawClient& raw, const Identity& identity) {
  ASSERT_EQ(SSL_CTX_use_certificate(raw.ctx.get(), identity.parts().certificate.get()), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey(raw.ctx.get(), identity.parts().key.get()), 1);
}

TEST(Handshake, SessionAuthenticatesBothEnds) {
  const World world;
  const auto client = world.client();
  const auto server = world.server();
  const Outcome outcome = connect(*client, *server);
  ASSERT_TRUE(outcome.done()) << outcome.text();
  EXPECT_EQ(client->alpn(), NFR_ALPN_SESSION);
  EXPECT_EQ(server->alpn(), NFR_ALPN_SESSION);
  EXPECT_EQ(client->peer_pin(), world.relay_identity->pin());
  EXPECT_EQ(server->peer_pin(), world.agent_identity->pin());
  EXPECT_EQ(server->psk_identity(), "");
  EXPECT_EQ(world.lookups, 0);
  EXPECT_FALSE(server->has_output()) << "no session tickets";
  EXPECT_EQ(*client->handshake(), Engine::Progress::kDone) << "asking again changes nothing";
}

TEST(Handshake, NothingIsKnownBeforeItIsDone) {
  const World world;
  const auto client = world.client();
  const auto server = world.server();
  ASSERT_TRUE(client->handshake());
  carry(*client, *server);
  ASSERT_TRUE(server->handshake());
  EXPECT_EQ(server->peer_pin(), std::nullopt);
  EXPECT_EQ(server->alpn(), "");
  EXPECT_TRUE(failed(server->export_key("EXPORTER-x"), Code::kInvalid, "not done"));
  EXPECT_TRUE(failed(server->write(as_bytes("x")), Code::kInvalid, "not done"));
  std::byte one{};
  EXPECT_TRUE(failed(server->read({&one, 1}), Code::kInvalid, "not done"));
  EXPECT_TRUE(failed(server->close_notify(), Code::kInvalid, "not done"));
}

TEST(Handshake, TheNextPinIsAccepted) {
  const World world;
  const auto client = must(
      Engine::create(must(Context::agent_session(world.agent_identity, {core::Pin{}, world.relay_identity->pin()}))));
  const auto server = world.server();
  const Outcome outcome = connect(*client, *server);
  EXPECT_TRUE(outcome.done()) << outcome.text();
}

TEST(Handshake, AnotherRelayKeyIsRefusedByName) {
  const World world;
  const core::Pin first = key_of(0xA0);
  const core::Pin next = key_of(0xB1);
  const auto client = must(Engine::create(must(Context::agent_session(world.agent_identity, {first, next}))));
  const auto server = world.server();
  const Outcome outcome = connect(*client, *server);
  EXPECT_TRUE(
      failed(outcome.client, Code::kDenied,
             "relay key " + fingerprint(world.relay_identity->pin()) +
                 " is not the pinned a0a0 a0a0 (or next b1b1 b1b1): the relay was reinstalled or somebody is in "
                 "between; ask for a new join line"));
  EXPECT_TRUE(failed(outcome.server, Code::kProtocol, "alert"));
  EXPECT_EQ(client->peer_pin(), std::nullopt);
  EXPECT_FALSE(client->export_session_keys());
}

TEST(Handshake, ASessionNeedsACertificate) {
  const World world;
  RawClient raw;
  raw.offer(kSessionList);
  EXPECT_TRUE(failed(raw.run(*world.server()), Code::kDenied, "no Ed25519 certificate"));
}

TEST(Handshake, ACertificateOfAnotherKindIsRefused) {
  const World world;
  const PkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const CertificatePtr certificate(X509_dup(world.agent_identity->parts().certificate.get()));
  ASSERT_EQ(X509_set_pubkey(certificate.get(), key.get()), 1);
  ASSERT_GT(X509_sign(certificate.get(), key.get(), EVP_sha256()), 0);
  RawClient raw;
  raw.offer(kSessionList);
  ASSERT_EQ(SSL_CTX_use_certificate(raw.ctx.get(), certificate.get()), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey(raw.ctx.get(), key.get()), 1);
  EXPECT_TRUE(failed(raw.run(*world.server()), Code::kDenied, "no Ed25519 certificate"));
}

TEST(Handshake, AForeignClientWithAnEd25519KeyMayKnock) {
  // The control for the tests that use RawClient: the same client, with a key of its own, is let through.
  const World world;
  const auto stranger = must(Identity::generate());
  RawClient raw;
  raw.offer(kSessionList);
  use_identity(raw, *stranger);
  const auto server = world.server();
  const auto result = raw.run(*server);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(*result, Engine::Progress::kDone);
  EXPECT_EQ(server->peer_pin(), stranger->pin());
}

// The victim's public key with another private key: OpenSSL then believes the pair fits.
PkeyPtr forged_pair(const Identity& victim, const Identity& thief) {
  std::array<unsigned char, 32> public_key{};
  std::array<unsigned char, 32> private_key{};
  std::size_t length = 32;
  EXPECT_EQ(EVP_PKEY_get_raw_public_key(victim.parts().key.get(), public_key.data(), &length), 1);
  EXPECT_EQ(EVP_PKEY_get_raw_private_key(thief.parts().key.get(), private_key.data(), &length), 1);
  OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public_key.data(), 32),
                         OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, private_key.data(), 32),
                         OSSL_PARAM_construct_end()};
  EVP_PKEY_CTX* ctx = EVP_PKEY_CTX_new_from_name(nullptr, "ED25519", nullptr);
  EVP_PKEY* key = nullptr;
  EXPECT_EQ(EVP_PKEY_fromdata_init(ctx), 1);
  EXPECT_EQ(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params), 1);
  EVP_PKEY_CTX_free(ctx);
  return PkeyPtr(key);
}

TEST(Handshake, ACertificateWithoutItsKeyIsWorthless) {
  const World world;
  const PkeyPtr forged = forged_pair(*world.agent_identity, *must(Identity::generate()));
  ASSERT_NE(forged, nullptr);
  RawClient raw;
  raw.offer(kSessionList);
  ASSERT_EQ(SSL_CTX_use_certificate(raw.ctx.get(), world.agent_identity->parts().certificate.get()), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey(raw.ctx.get(), forged.get()), 1);
  const auto server = world.server();
  EXPECT_TRUE(failed(raw.run(*server), Code::kDenied, "does not hold the private key"));
  EXPECT_EQ(server->peer_pin(), std::nullopt);
  EXPECT_FALSE(server->export_session_keys());
}

TEST(Handshake, AChannelOpensWithItsKey) {
  const World world;
  const auto client = World::channel("5e55-1", key_of(1));
  const auto server = world.server();
  const Outcome outcome = connect(*client, *server);
  ASSERT_TRUE(outcome.done()) << outcome.text();
  EXPECT_EQ(server->alpn(), NFR_ALPN_CHANNEL);
  EXPECT_EQ(client->alpn(), NFR_ALPN_CHANNEL);
  EXPECT_EQ(server->psk_identity(), "5e55-1");
  EXPECT_EQ(client->psk_identity(), "");
  EXPECT_EQ(server->peer_pin(), std::nullopt);
  EXPECT_EQ(client->peer_pin(), std::nullopt);
  EXPECT_EQ(world.lookups, 1);
  EXPECT_FALSE(server->has_output()) << "no session tickets";
  EXPECT_EQ(*client->export_key("EXPORTER-x"), *server->export_key("EXPORTER-x"));
}

TEST(Handshake, AnUnknownChannelIsRefused) {
  const World world;
  const auto client = World::channel("5e55-\x1b[2J", key_of(1));
  const auto server = world.server();
  const Outcome outcome = connect(*client, *server);
  EXPECT_TRUE(failed(outcome.server, Code::kDenied, "no session has a channel \"5e55-\\x1b[2J\""));
  EXPECT_TRUE(failed(outcome.client, Code::kDenied, "the relay does not know this channel"));
}

TEST(Handshake, AChannelWithTheWrongKeyIsRefused) {
  const World world;
  const auto client = World::channel("5e55-1", key_of(2));
  const auto server = world.server();
  const Outcome outcome = connect(*client, *server);
  EXPECT_TRUE(failed(outcome.server, Code::kDenied, "the channel's key is wrong"));
  EXPECT_TRUE(failed(outcome.client, Code::kProtocol, "alert"));
  EXPECT_FALSE(server->export_key("EXPORTER-x"));
}

TEST(Handshake, ARelayWithoutChannelsRefusesThem) {
  const World world;
  const auto server = must(Engine::create(must(Context::relay(world.relay_identity, nullptr))));
  const auto client = World::channel("5e55-1", key_of(1));
  EXPECT_TRUE(failed(connect(*client, *server).server, Code::kDenied, "no session has a channel"));
}

TEST(Handshake, AChannelIsNotOpenedByACertificate) {
  const World world;
  RawClient raw;
  raw.offer(kChannelList);
  use_identity(raw, *world.agent_identity);
  const auto server = world.server();
  EXPECT_TRUE(failed(raw.run(*server), Code::kDenied, "without exactly one key"));
  EXPECT_EQ(world.lookups, 0);
}

int offer_known_psk(SSL* ssl, const EVP_MD*, const unsigned char** identity, std::size_t* length, SSL_SESSION** out) {
  constexpr unsigned char kCipher[] = {0x13, 0x01};
  const core::Key key = key_of(1);
  *out = SSL_SESSION_new();
  SSL_SESSION_set1_master_key(*out, reinterpret_cast<const unsigned char*>(key.data()), key.size());
  SSL_SESSION_set_cipher(*out, SSL_CIPHER_find(ssl, kCipher));
  SSL_SESSION_set_protocol_version(*out, TLS1_3_VERSION);
  *identity = reinterpret_cast<const unsigned char*>("5e55-1");
  *length = 6;
  return 1;
}

TEST(Handshake, AChannelKeyOpensNoSession) {
  const World world;
  for (const bool with_certificate : {false, true}) {
    RawClient raw;
    raw.offer(kSessionList);
    if (with_certificate) use_identity(raw, *world.agent_identity);
    SSL_CTX_set_psk_use_session_callback(raw.ctx.get(), offer_known_psk);
    EXPECT_TRUE(failed(raw.run(*world.server()), Code::kDenied, "only certificates open sessions"));
  }
  RawClient control;
  control.offer(kChannelList);
  SSL_CTX_set_psk_use_session_callback(control.ctx.get(), offer_known_psk);
  const auto result = control.run(*world.server());
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(*result, Engine::Progress::kDone) << "the same key opens its channel";
}

TEST(Handshake, OtherProtocolsAreRefused) {
  const World world;
  using namespace std::string_literals;
  for (const std::string& list :
       {"\x02h2"s, "\x04nf/2"s, "\x02h2\x08http/1.1"s, "\x03nf-"s, kSessionList + kChannelList,
        kSessionList + kSessionList, kChannelList + kChannelList}) {
    RawClient raw;
    raw.offer(list);
    use_identity(raw, *world.agent_identity);
    EXPECT_TRUE(failed(raw.run(*world.server()), Code::kProtocol, "neither nf/1 nor nf-ch/1")) << escape(list);
  }
  RawClient none;
  use_identity(none, *world.agent_identity);
  EXPECT_TRUE(failed(none.run(*world.server()), Code::kProtocol, "neither nf/1 nor nf-ch/1"));
  RawClient newer;
  newer.offer("\x04nf/2" + kSessionList);
  use_identity(newer, *world.agent_identity);
  EXPECT_TRUE(newer.run(*world.server())) << "one name of ours among others is enough";
}

TEST(Handshake, OnlyTls13) {
  const World world;
  RawClient raw;
  raw.offer(kSessionList);
  use_identity(raw, *world.agent_identity);
  SSL_CTX_set_max_proto_version(raw.ctx.get(), TLS1_2_VERSION);
  EXPECT_FALSE(raw.run(*world.server()));
}

TEST(Handshake, GroupsAndTheSecondRound) {
  const World world;
  for (const auto& [groups, accepted] : std::map<const char*, bool>{
           {"X25519", true}, {"P-256", true}, {"P-256:X25519", true}, {"P-384", false}, {"P-384:X25519", false}}) {
    RawClient raw;
    raw.offer(kSessionList);
    use_identity(raw, *world.agent_identity);
    ASSERT_EQ(SSL_CTX_set1_groups_list(raw.ctx.get(), groups), 1);
    const auto result = raw.run(*world.server());
    EXPECT_EQ(result.ok() && *result == Engine::Progress::kDone, accepted) << groups;
    if (!accepted) {
      EXPECT_TRUE(failed(result, Code::kProtocol, "key share")) << groups;
    }
  }
}

TEST(Handshake, ChaChaWorksForChannelsToo) {
  const World world;
  RawClient raw;
  raw.offer(kChannelList);
  SSL_CTX_set_psk_use_session_callback(raw.ctx.get(), offer_known_psk);
  ASSERT_EQ(SSL_CTX_set_ciphersuites(raw.ctx.get(), "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"), 1);
  const auto result = raw.run(*world.server());
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(*result, Engine::Progress::kDone);
}

// Without (EC)DHE a stolen session secret would open what was recorded before: only psk_dhe_ke counts.
TEST(Handshake, AChannelKeyWithoutDiffieHellmanIsRefused) {
  const World world;
  const auto client = World::channel("5e55-1", key_of(1));
  ASSERT_TRUE(client->handshake());
  std::string hello = client->take_output();
  const std::string modes("\x00\x2d\x00\x02\x01\x01", 6);  // psk_key_exchange_modes: psk_dhe_ke
  const std::size_t at = hello.find(modes);
  ASSERT_NE(at, std::string::npos);
  hello[at + 5] = 0;  // psk_ke
  const auto server = world.server();
  server->feed(as_bytes(hello));
  EXPECT_TRUE(failed(server->handshake(), Code::kDenied, "key was not used"));
}

// A relay that ignores the channel's key and shows a certificate instead, which anybody can make.
TEST(Handshake, AChannelClientAcceptsNoCertificateInPlaceOfTheKey) {
  const World world;
  SslCtxPtr ctx(SSL_CTX_new(TLS_server_method()));
  ASSERT_EQ(SSL_CTX_use_certificate(ctx.get(), world.relay_identity->parts().certificate.get()), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey(ctx.get(), world.relay_identity->parts().key.get()), 1);
  SSL_CTX_set_alpn_select_cb(
      ctx.get(),
      [](SSL*, const unsigned char** out, unsigned char* length, const unsigned char* in, unsigned, void*) {
        *length = in[0];
        *out = in + 1;
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
  const SslPtr server(SSL_new(ctx.get()));
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(server.get(), in, out);
  const auto client = World::channel("5e55-1", key_of(1));
  ASSERT_TRUE(client->handshake());
  const std::string hello = client->take_output();
  BIO_write(in, hello.data(), static_cast<int>(hello.size()));
  SSL_accept(server.get());
  ERR_clear_error();
  std::string answer(BIO_ctrl_pending(out), '\0');
  ASSERT_GT(BIO_read(out, answer.data(), static_cast<int>(answer.size())), 0);
  client->feed(as_bytes(answer));
  EXPECT_TRUE(failed(client->handshake(), Code::kDenied, "did not take the channel's key"));
}

TEST(Handshake, AServerThatIgnoresAlpnIsNoRelay) {
  const World world;
  SslCtxPtr ctx(SSL_CTX_new(TLS_server_method()));
  ASSERT_EQ(SSL_CTX_use_certificate(ctx.get(), world.relay_identity->parts().certificate.get()), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey(ctx.get(), world.relay_identity->parts().key.get()), 1);
  const SslPtr server(SSL_new(ctx.get()));
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(server.get(), in, out);
  const auto client = world.client();
  ASSERT_TRUE(client->handshake());
  const std::string hello = client->take_output();
  BIO_write(in, hello.data(), static_cast<int>(hello.size()));
  SSL_accept(server.get());
  std::string answer(BIO_ctrl_pending(out), '\0');
  ASSERT_GT(BIO_read(out, answer.data(), static_cast<int>(answer.size())), 0);
  client->feed(as_bytes(answer));
  EXPECT_TRUE(failed(client->handshake(), Code::kProtocol, "chose protocol \"\", not nf/1"));
}

TEST(Handshake, ExportersAgreeWithinASessionAndDifferBetweenSessions) {
  const World world;
  std::vector<core::Key> seen;
  for (int round = 0; round < 2; ++round) {
    const auto client = world.client();
    const auto server = world.server();
    ASSERT_TRUE(connect(*client, *server).done());
    const auto ours = must(client->export_session_keys());
    const auto theirs = must(server->export_session_keys());
    EXPECT_EQ(ours.to_agent, theirs.to_agent);
    EXPECT_EQ(ours.to_relay, theirs.to_relay);
    EXPECT_EQ(ours.channel_psk, theirs.channel_psk);
    EXPECT_EQ(ours.to_relay, must(client->export_key(NFR_EXPORT_TO_RELAY)));
    seen.insert(seen.end(), {ours.to_agent, ours.to_relay, ours.channel_psk});
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
}

TEST(Handshake, AKeyFromASessionOpensItsChannel) {
  World world;
  const auto client = world.client();
  const auto server = world.server();
  ASSERT_TRUE(connect(*client, *server).done());
  const OpenSslCrypto crypto;
  world.channels["5e55-9"] = channel_psk(crypto, must(server->export_session_keys()), 9);
  const auto channel = World::channel("5e55-9", channel_psk(crypto, must(client->export_session_keys()), 9));
  const auto accepted = world.server();
  const Outcome outcome = connect(*channel, *accepted);
  EXPECT_TRUE(outcome.done()) << outcome.text();
}

TEST(Handshake, PskIdentitiesAreBounded) {
  EXPECT_FALSE(Context::agent_channel("", key_of(1)));
  EXPECT_FALSE(Context::agent_channel(std::string(65, 'x'), key_of(1)));
  World world;
  const std::string longest(64, 'x');
  world.channels[longest] = key_of(3);
  const auto client = World::channel(longest, key_of(3));
  const auto server = world.server();
  EXPECT_TRUE(connect(*client, *server).done());
}

TEST(Handshake, ByteByByte) {
  const World world;
  const auto client = world.client();
  const auto server = world.server();
  const Outcome session = connect(*client, *server, 1);
  EXPECT_TRUE(session.done()) << session.text();
  const auto channel = World::channel("5e55-1", key_of(1));
  const auto accepted = world.server();
  const Outcome outcome = connect(*channel, *accepted, 1);
  EXPECT_TRUE(outcome.done()) << outcome.text();
}

TEST(Handshake, AnEngineMayMoveBetweenThreads) {
  const World world;
  auto client = world.client();
  auto server = world.server();
  for (int step = 0; step < 3; ++step) {
    std::thread([&] {
      ASSERT_TRUE(client->handshake());
      carry(*client, *server);
    }).join();
    std::thread([&] {
      ASSERT_TRUE(server->handshake());
      carry(*server, *client);
    }).join();
  }
  std::thread([moved = std::move(client), &server]() mutable {
    ASSERT_TRUE(moved->write(as_bytes("hello")));
    carry(*moved, *server);
    moved.reset();
  }).join();
  EXPECT_EQ(read_some(*server), "hello");
}

TEST(Handshake, ContextsAreSharedByThreads) {
  const World world;
  std::array<std::thread, 4> threads;
  for (std::thread& thread : threads) {
    thread = std::thread([&] {
      for (int round = 0; round < 10; ++round) {
        const auto client = world.client();
        const auto server = world.server();
        const Outcome outcome = connect(*client, *server);
        EXPECT_TRUE(outcome.done()) << outcome.text();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace nfr::tls
