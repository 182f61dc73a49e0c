// SPDX-License-Identifier: GPL-2.0-only
// Stranger against peers that know the keys and misbehave all the same. The peer is OpenSSL on a thread of its own,
// blocking; the stranger runs on the test's loop.
#include "relayd/stranger.hpp"

#include <openssl/ssl.h>

#include <thread>

#include "base/text.hpp"
#include "harness/loopback.hpp"
#include "tls/handshake.hpp"
#include "tls/parts.hpp"

namespace nfr::relayd {
namespace {

using namespace std::chrono_literals;

class StrangerTest : public test::LoopbackTest, protected StrangerEvents {
 protected:
  void SetUp() override {
    stranger.reset();
    LoopbackTest::SetUp();
    const auto identity = *tls::Identity::generate();
    relay = *tls::Context::relay(identity, [this](std::string_view) { return std::optional(psk); });
    agent = *tls::Context::agent_channel("1-2", psk);
    pair = test::tcp_pair();
    ::fcntl(pair.theirs.get(), F_SETFL, 0);  // blocking
    stranger = std::make_unique<Stranger>(*loop, std::move(pair.ours), 3s, static_cast<StrangerEvents&>(*this));
    stranger->start();
  }

  Result<std::unique_ptr<tls::Engine>> on_hello(Stranger&) override { return tls::Engine::create(relay); }
  void on_session(Stranger&, std::unique_ptr<transport::TlsEndpoint>) override { FAIL() << "a session"; }
  void on_channel(Stranger&, transport::Carrier, std::span<const std::byte> preface) override {
    channel = std::string(as_text(preface));
  }
  void on_over(Stranger&) override { over = true; }

  /// A channel's handshake, then `key_updates` requests for new keys and a preface, all in one segment.
  void speak(int key_updates) {
    tls::Handshake handshake(agent->parts());
    const tls::SslPtr ssl(SSL_new(agent->parts().ctx.get()));
    SSL_set_app_data(ssl.get(), &handshake);
    SSL_set_fd(ssl.get(), pair.theirs.get());
    ASSERT_EQ(SSL_connect(ssl.get()), 1);
    BIO* flight = BIO_new(BIO_s_mem());
    SSL_set0_wbio(ssl.get(), flight);
    for (int i = 0; i < key_updates; ++i) {
      SSL_key_update(ssl.get(), SSL_KEY_UPDATE_REQUESTED);
      SSL_do_handshake(ssl.get());
    }
    const std::string preface(NFR_PREFACE_BYTES, 'p');
    SSL_write(ssl.get(), preface.data(), static_cast<int>(preface.size()));
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(flight, &bytes);
    ::send(pair.theirs.get(), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  }
  void meet(int key_updates) {
    std::thread peer([&] { speak(key_updates); });
    EXPECT_TRUE(until([&] { return over || channel; }));
    peer.join();
  }

  core::Key psk{std::byte{7}};
  std::shared_ptr<const tls::Context> relay;
  std::shared_ptr<const tls::Context> agent;
  test::TcpPair pair;
  std::unique_ptr<Stranger> stranger;
  std::optional<std::string> channel;
  bool over = false;
};

TEST_F(StrangerTest, AChannelsPrefaceArrivesThroughTls) {
  meet(0);
  EXPECT_FALSE(over);
  EXPECT_EQ(channel, std::string(NFR_PREFACE_BYTES, 'p'));
}

/// The answer to a key update may still be under way when the channel is to be handed on: that peer is sent away.
TEST_F(StrangerTest, KeyUpdatesBeforeThePrefaceEndItAndNothingElse) {
  for (const int key_updates : {1, 2, 3, 30}) {
    if (key_updates > 1) SetUp();
    over = false;
    channel.reset();
    meet(key_updates);
    EXPECT_TRUE(key_updates < 2 || over) << key_updates;
    settle(10ms);
  }
}

}  // namespace
}  // namespace nfr::relayd
