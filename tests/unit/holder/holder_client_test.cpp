// SPDX-License-Identifier: GPL-2.0-only
// The relay's client on a real loop, against a request server turned by hand.
#include "holder/holder_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "holder/fd_passing.hpp"
#include "holder/request_server.hpp"
#include "relay_child.hpp"

namespace nfr::holder {
namespace {

using ::testing::HasSubstr;

class HolderClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = io::Loop::create({.entries = 64, .buffer_count = 8, .buffer_bytes = 4096});
    ASSERT_TRUE(made) << made.error().message();
    loop = std::move(*made);
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    server.attach(Fd(pair[0]));
    client = std::make_unique<HolderClient>(*loop, Fd(pair[1]), [this] { ++gone_count; });
  }
  void TearDown() override {
    client.reset();
    loop->run_once(Millis(100));
  }

  bool turn_until(const std::function<bool()>& condition) {
    return test::wait_until([&] {
      pollfd entry = server.poll_entry();
      if (server.attached() && ::poll(&entry, 1, 0) > 0) server.serve(entry.revents);
      loop->run_once(Millis(1));
      return condition();
    });
  }

  Fd admin{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  ListenerTable table;
  int ready_count = 0;
  int gone_count = 0;
  RequestServer server{table, admin.get(), [this] { ++ready_count; }};
  std::unique_ptr<io::Loop> loop;
  std::unique_ptr<HolderClient> client;
};

TEST_F(HolderClientTest, OpensClosesAndReports) {
  const auto endpoint = test::free_endpoint();
  std::vector<Fd> sockets;
  int answers = 0;
  client->open(endpoint, ListenerKind::kPublic, 3, [&](Result<std::vector<Fd>> opened) {
    ++answers;
    ASSERT_TRUE(opened);
    sockets = std::move(*opened);
  });
  client->open_admin([&](Result<std::vector<Fd>> opened) {
    ++answers;
    EXPECT_TRUE(opened && opened->size() == 1);
  });
  client->retain_done();
  client->ready();
  ASSERT_TRUE(turn_until([&] { return ready_count == 1 && answers == 2; }));
  ASSERT_EQ(sockets.size(), 3U);
  EXPECT_TRUE(test::connect_to(endpoint).valid());
  sockets.clear();
  client->close(endpoint);
  EXPECT_TRUE(turn_until([&] { return table.socket_count() == 0; }));
  EXPECT_EQ(gone_count, 0);
}

TEST_F(HolderClientTest, RefusalReadsLikeALocalOne) {
  const auto endpoint = test::free_endpoint();
  const Fd taken = test::bound_socket(endpoint);
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  std::string text;
  client->open(endpoint, ListenerKind::kPublic, 1,
               [&](Result<std::vector<Fd>> opened) { text = opened ? "opened" : opened.error().message(); });
  ASSERT_TRUE(turn_until([&] { return !text.empty(); }));
  EXPECT_THAT(text, HasSubstr("is in use by unit_holder (pid "));
}

TEST_F(HolderClientTest, ThousandsOfRequestsAtOnceAreAllAnswered) {
  const auto endpoint = test::free_endpoint();
  int answers = 0;
  for (int i = 0; i < 5000; ++i) {
    client->open(endpoint, ListenerKind::kPublic, 8, [&](Result<std::vector<Fd>> opened) {
      ASSERT_TRUE(opened) << opened.error().message();
      EXPECT_EQ(opened->size(), 8U);
      ++answers;
    });
  }
  EXPECT_TRUE(turn_until([&] { return answers == 5000; }));
  EXPECT_EQ(table.socket_count(), 8U);
}

TEST_F(HolderClientTest, HolderGoneFailsWhatWaitsThenTells) {
  int failures = 0;
  const auto fails = [&](Result<std::vector<Fd>> opened) {
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), Code::kUnavailable);
    EXPECT_EQ(gone_count, 0);
    ++failures;
  };
  for (int i = 0; i < 100; ++i) client->open(test::free_endpoint(), ListenerKind::kPublic, 1, fails);
  server.detach();
  ASSERT_TRUE(turn_until([&] { return gone_count == 1; }));
  EXPECT_EQ(failures, 100);
  int late = 0;
  client->open_admin([&](Result<std::vector<Fd>> opened) { late += opened ? 0 : 1; });
  EXPECT_EQ(late, 1);
}

TEST_F(HolderClientTest, NonsenseFromTheHolderEndsIt) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
  const Fd holder(pair[0]);
  int gone = 0;
  std::unique_ptr<HolderClient> other;
  other = std::make_unique<HolderClient>(*loop, Fd(pair[1]), [&] {
    ++gone;
    other.reset();  // from inside, as a relay that tears down does
  });
  const Reply unasked = make_reply(77);
  ::send(holder.get(), &unasked, sizeof unasked, 0);
  EXPECT_TRUE(turn_until([&] { return gone == 1; }));
  EXPECT_EQ(other, nullptr);
}

}  // namespace
}  // namespace nfr::holder
