// SPDX-License-Identifier: GPL-2.0-only
// Bytes after the handshake: exact in any chunking, half-close, and errors that never look like an end.
#include <random>

#include "harness/scale.hpp"
#include "pair.hpp"

namespace nfr::tls {
namespace {

struct Connection {
  World world;
  std::unique_ptr<Engine> client = world.client();
  std::unique_ptr<Engine> server = world.server();
  Connection() { EXPECT_TRUE(connect(*client, *server).done()); }
};

std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

/// One direction: what was written so far, what is on the wire, what came out.
struct Direction {
  Engine& from;
  Engine& to;
  std::string data;
  std::size_t written = 0;
  std::string wire = {};
  std::string received = {};

  bool finished() const { return received.size() == data.size(); }
  void step(std::mt19937& random) {
    const std::size_t put = std::min<std::size_t>(random() % 40000, data.size() - written);
    ASSERT_TRUE(from.write(as_bytes(data).subspan(written, put)));
    written += put;
    wire += from.take_output();
    const std::size_t fed = std::min<std::size_t>(random() % 30000, wire.size());
    to.feed(as_bytes(wire).first(fed));
    wire.erase(0, fed);
    const std::string got = read_some(to, 1 + random() % 50000);
    received += got;
  }
};

TEST(Stream, MebibyteBothWaysInRandomChunks) {
  for (unsigned seed = 1; seed <= nfr::test::scaled(4, 1); ++seed) {
    const Connection c;
    Direction up{*c.client, *c.server, random_bytes(1 << 20, seed)};
    Direction down{*c.server, *c.client, random_bytes(1 << 20, seed + 100)};
    std::mt19937 random(seed);
    for (int step = 0; step < 100000 && !(up.finished() && down.finished()); ++step) {
      ASSERT_NO_FATAL_FAILURE((random() % 2 == 0 ? up : down).step(random));
    }
    EXPECT_TRUE(up.received == up.data) << "seed " << seed;
    EXPECT_TRUE(down.received == down.data) << "seed " << seed;
  }
}

TEST(Stream, AChannelCarriesAMebibyteInOneWrite) {
  const World world;
  const auto client = World::channel("5e55-1", key_of(1));
  const auto server = world.server();
  ASSERT_TRUE(connect(*client, *server).done());
  const std::string data = random_bytes(1 << 20, 9);
  ASSERT_TRUE(server->write(as_bytes(data)));
  carry(*server, *client);
  EXPECT_TRUE(read_some(*client, 2 << 20) == data) << "one read takes all that has arrived";
  EXPECT_EQ(read_some(*client), "") << "then it wants more";
}

TEST(Stream, BytesFedWithTheLastFlightAreKept) {
  const World world;
  const auto client = world.client();
  const auto server = world.server();
  ASSERT_TRUE(client->handshake());
  carry(*client, *server);
  ASSERT_TRUE(server->handshake());
  carry(*server, *client);
  ASSERT_EQ(*client->handshake(), Engine::Progress::kDone);
  ASSERT_TRUE(client->write(as_bytes("first words")));
  carry(*client, *server);  // Finished and data in one feed
  ASSERT_EQ(*server->handshake(), Engine::Progress::kDone);
  EXPECT_EQ(read_some(*server), "first words");
}

TEST(Stream, EmptySpansChangeNothing) {
  const Connection c;
  c.server->feed({});
  EXPECT_TRUE(c.client->write({}));
  EXPECT_FALSE(c.client->has_output());
  const auto got = c.server->read({});
  ASSERT_TRUE(got);
  EXPECT_EQ(got->bytes, 0U);
  EXPECT_FALSE(got->eof);
}

TEST(Stream, CloseNotifyEndsOneDirectionOnly) {
  const Connection c;
  ASSERT_TRUE(c.client->write(as_bytes("last words")));
  ASSERT_TRUE(c.client->close_notify());
  ASSERT_TRUE(c.client->close_notify()) << "twice is once";
  EXPECT_FALSE(c.client->write(as_bytes("too late")));
  carry(*c.client, *c.server);
  std::string out(100, '\0');
  auto got = c.server->read(std::as_writable_bytes(std::span(out)));
  ASSERT_TRUE(got);
  EXPECT_EQ(out.substr(0, got->bytes), "last words");
  EXPECT_FALSE(got->eof) << "bytes first";
  for (int again = 0; again < 2; ++again) {
    got = c.server->read(std::as_writable_bytes(std::span(out)));
    ASSERT_TRUE(got);
    EXPECT_TRUE(got->eof);
    EXPECT_EQ(got->bytes, 0U);
  }
  const std::string answer = random_bytes(100000, 3);
  ASSERT_TRUE(c.server->write(as_bytes(answer)));
  carry(*c.server, *c.client);
  EXPECT_TRUE(read_some(*c.client, 200000) == answer) << "reading goes on after our own end";
  ASSERT_TRUE(c.server->close_notify());
  carry(*c.server, *c.client);
  got = c.client->read(std::as_writable_bytes(std::span(out)));
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->eof);
}

TEST(Stream, ACutWireIsNeverAnEnd) {
  const Connection c;
  ASSERT_TRUE(c.client->write(as_bytes(random_bytes(1000, 4))));
  ASSERT_TRUE(c.client->close_notify());
  const std::string wire = c.client->take_output();
  for (std::size_t i = 0; i + 1 < wire.size(); ++i) {
    c.server->feed(as_bytes(wire).subspan(i, 1));
    std::byte sink[2000];
    const auto got = c.server->read(sink);
    ASSERT_TRUE(got);
    ASSERT_FALSE(got->eof) << i;
  }
}

TEST(Stream, AnAlteredRecordIsAFinalError) {
  for (const std::size_t position : {5U, 20U, 119U}) {
    const Connection c;
    ASSERT_TRUE(c.client->write(as_bytes(random_bytes(100, 5))));
    std::string wire = c.client->take_output();
    ASSERT_GT(wire.size(), position);
    wire[position] = static_cast<char>(wire[position] ^ 1);
    c.server->feed(as_bytes(wire));
    std::byte sink[200];
    const auto got = c.server->read(sink);
    ASSERT_FALSE(got);
    EXPECT_NE(got.error().message().find("altered on the way"), std::string::npos) << got.error().message();
    EXPECT_TRUE(c.server->has_output()) << "the alert for the peer";
    EXPECT_FALSE(c.server->read(sink));
    EXPECT_FALSE(c.server->write(as_bytes("x")));
    EXPECT_FALSE(c.server->close_notify());
    carry(*c.server, *c.client);
    EXPECT_FALSE(c.client->read(sink)) << "the peer learns of it as an error, not as an end";
  }
}

TEST(Stream, IntactBytesComeBeforeTheError) {
  const Connection c;
  ASSERT_TRUE(c.client->write(as_bytes("good")));
  std::string wire = c.client->take_output();
  ASSERT_TRUE(c.client->write(as_bytes("evil")));
  std::string bad = c.client->take_output();
  bad.back() = static_cast<char>(bad.back() ^ 1);
  c.server->feed(as_bytes(wire + bad));
  EXPECT_EQ(read_some(*c.server), "good");
  std::byte sink[10];
  EXPECT_FALSE(c.server->read(sink));
}

TEST(Stream, ReplayedAndDroppedRecordsAreErrors) {
  for (const bool replay : {true, false}) {
    const Connection c;
    ASSERT_TRUE(c.client->write(as_bytes("one")));
    const std::string one = c.client->take_output();
    ASSERT_TRUE(c.client->write(as_bytes("two")));
    const std::string two = c.client->take_output();
    c.server->feed(as_bytes(replay ? one + one : two));
    if (replay) {
      EXPECT_EQ(read_some(*c.server), "one");
    }
    std::byte sink[10];
    EXPECT_FALSE(c.server->read(sink));
  }
}

}  // namespace
}  // namespace nfr::tls
