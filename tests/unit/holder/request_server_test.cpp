// SPDX-License-Identifier: GPL-2.0-only
// The holder's end of the socketpair against a relay that sends anything.
#include "holder/request_server.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <random>

#include "holder/fd_passing.hpp"
#include "relay_child.hpp"

namespace nfr::holder {
namespace {

class RequestServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    relay = Fd(pair[1]);
    server.attach(Fd(pair[0]));
  }

  bool turn() {
    pollfd entry = server.poll_entry();
    ::poll(&entry, 1, 0);
    return entry.revents == 0 ? server.attached() : server.serve(entry.revents);
  }

  struct Got {
    Reply reply;
    std::vector<Fd> fds;
  };
  std::optional<Got> reply() {
    Reply into{};
    auto received = receive_with_fds(relay.get(), std::as_writable_bytes(std::span(&into, 1)));
    if (!received) return std::nullopt;
    EXPECT_EQ(received->bytes, sizeof into);
    EXPECT_TRUE(check_reply(std::as_bytes(std::span(&into, 1))));
    return Got{into, std::move(received->fds)};
  }

  std::optional<Got> ask(const void* bytes, std::size_t size) {
    ::send(relay.get(), bytes, size, 0);
    turn();
    return reply();
  }
  std::optional<Got> ask(const Request& request) { return ask(&request, sizeof request); }

  Fd admin{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  ListenerTable table;
  int ready_count = 0;
  RequestServer server{table, admin.get(), [this] { ++ready_count; }};
  Fd relay;
};

TEST_F(RequestServerTest, OpensClosesRetainsAndReports) {
  const auto endpoint = test::free_endpoint();
  const auto opened = ask(make_open(1, endpoint, ListenerKind::kPublic, 2));
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->reply.status, 0U);
  EXPECT_EQ(opened->reply.request_id, 1U);
  ASSERT_EQ(opened->fds.size(), 2U);
  EXPECT_EQ(test::local_address(opened->fds[1].get()), endpoint);
  EXPECT_EQ(ask(make_open(2, {}, ListenerKind::kAdmin, 1))->fds.size(), 1U);
  EXPECT_EQ(ask(make_request(RequestType::kReady, 3))->reply.status, 0U);
  EXPECT_EQ(ready_count, 1);
  EXPECT_EQ(ask(make_request(RequestType::kRetainDone, 4))->reply.status, 0U);
  EXPECT_EQ(table.socket_count(), 2U);
  table.forget_claims();
  EXPECT_EQ(ask(make_request(RequestType::kRetainDone, 5))->reply.status, 0U);
  EXPECT_EQ(table.socket_count(), 0U);
  EXPECT_EQ(failure_of(ask(make_close(6, endpoint))->reply).code, Code::kNotFound);
}

TEST_F(RequestServerTest, PortTakenComesWithItsOwner) {
  const auto endpoint = test::free_endpoint();
  const Fd taken = test::bound_socket(endpoint);
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  const auto refused = ask(make_open(1, endpoint, ListenerKind::kPublic, 1));
  ASSERT_TRUE(refused);
  EXPECT_TRUE(refused->fds.empty());
  EXPECT_EQ(describe(endpoint, failure_of(refused->reply)).message(),
            "port " + std::to_string(endpoint.port.value) + " is in use by unit_holder (pid " +
                std::to_string(::getpid()) + ")");
}

TEST_F(RequestServerTest, LivesThroughEverySizeAndRandomBytes) {
  std::array<char, 4096> bytes{};
  const Request open = make_open(1, test::free_endpoint(), ListenerKind::kPublic, 0);
  std::memcpy(bytes.data(), &open, sizeof open);
  for (std::size_t size = 0; size < 200; ++size) {
    const auto answer = ask(bytes.data(), size);
    ASSERT_TRUE(answer) << size;
    EXPECT_EQ(failure_of(answer->reply).code, Code::kProtocol) << size;
    EXPECT_EQ(answer->reply.request_id, size == sizeof open ? 1U : 0U);
  }
  std::mt19937_64 random(5);
  for (int round = 0; round < 2000; ++round) {
    const std::size_t size = round % 2 == 0 ? sizeof(Request) : random() % bytes.size();
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(random());
    ASSERT_TRUE(ask(bytes.data(), size));
  }
  EXPECT_EQ(ask(make_request(RequestType::kReady, 3))->reply.status, 0U);
}

TEST_F(RequestServerTest, DescriptorsFromTheRelayAreNotTaken) {
  const auto count = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  const auto before = count();
  const Request request = make_request(RequestType::kReady, 1);
  const std::vector<int> fds(64, admin.get());
  ASSERT_EQ(send_with_fds(relay.get(), std::as_bytes(std::span(&request, 1)), fds), 0);
  EXPECT_TRUE(turn());
  EXPECT_EQ(count(), before);
  EXPECT_TRUE(reply());
}

TEST_F(RequestServerTest, RelayThatNeverReadsCostsOneReply) {
  const Request request = make_request(RequestType::kReady, 1);
  std::uint64_t sent = 0;
  while (server.poll_entry().events != POLLOUT) {
    ASSERT_LT(sent, 100'000U);
    if (::send(relay.get(), &request, sizeof request, 0) > 0) ++sent;
    ASSERT_TRUE(turn());
  }
  std::uint64_t answered = 0;
  while (answered < sent) {
    while (reply()) ++answered;
    ASSERT_TRUE(turn());
    ASSERT_LE(answered, sent);
  }
  EXPECT_EQ(server.poll_entry().events, POLLIN);
}

TEST_F(RequestServerTest, EndOfTheRelayIsNoticed) {
  EXPECT_TRUE(turn());
  relay.reset();
  EXPECT_FALSE(turn());
  EXPECT_FALSE(server.attached());
  EXPECT_EQ(server.poll_entry().fd, -1);
}

}  // namespace
}  // namespace nfr::holder
