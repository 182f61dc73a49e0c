// SPDX-License-Identifier: GPL-2.0-only
// ListenerTable on real loopback ports: what opening, closing and retaining do, and who is named when a port is taken.
#include "holder/listener_table.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/wait.h>

#include <csignal>

#include "holder/local_ports.hpp"
#include "holder/port_owner.hpp"
#include "holder/visitor_reset.hpp"
#include "relay_child.hpp"

namespace nfr::holder {
namespace {

using test::connect_to;
using test::free_endpoint;
using ::testing::HasSubstr;

int option(int socket, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  ::getsockopt(socket, level, name, &value, &length);
  return value;
}

TEST(ListenerTable, OpensAGroupOfListeningSockets) {
  ListenerTable table;
  const auto endpoint = free_endpoint();
  const auto opened = table.open(endpoint, ListenerKind::kPublic, 3);
  ASSERT_FALSE(opened.failure) << describe(endpoint, *opened.failure).message();
  ASSERT_EQ(opened.sockets.size(), 3U);
  for (const int socket : opened.sockets) {
    EXPECT_EQ(test::local_address(socket), endpoint);
    EXPECT_EQ(option(socket, SOL_SOCKET, SO_ACCEPTCONN), 1);
    EXPECT_EQ(option(socket, SOL_SOCKET, SO_REUSEPORT), 1);
    EXPECT_NE(::fcntl(socket, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(socket, F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_EQ(table.socket_count(), 3U);
}

// The death of whoever has accepted it, at whatever moment, must not look like an orderly end.
TEST(ListenerTable, AcceptedConnectionsResetOnClose) {
  ListenerTable table;
  for (const ListenerKind kind : {ListenerKind::kPublic, ListenerKind::kTunnel}) {
    const auto endpoint = free_endpoint();
    const int listener = table.open(endpoint, kind, 1).sockets[0];
    const Fd visitor = connect_to(endpoint);
    ASSERT_TRUE(visitor.valid());
    Fd accepted(::accept(listener, nullptr, nullptr));
    ASSERT_TRUE(accepted.valid());
    accepted.reset();
    char byte = 0;
    EXPECT_EQ(::recv(visitor.get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
  }
}

TEST(ListenerTable, ReopeningGivesTheSameSocketsWithTheirBacklog) {
  ListenerTable table;
  const auto endpoint = free_endpoint();
  const int first = table.open(endpoint, ListenerKind::kPublic, 1).sockets[0];
  const Fd visitor = connect_to(endpoint);
  ASSERT_TRUE(visitor.valid());
  table.forget_claims();
  const auto again = table.open(endpoint, ListenerKind::kPublic, 1);
  ASSERT_FALSE(again.failure);
  EXPECT_EQ(again.sockets[0], first);
  EXPECT_TRUE(Fd(::accept(again.sockets[0], nullptr, nullptr)).valid());
}

TEST(ListenerTable, GroupGrowsAndShrinks) {
  ListenerTable table;
  const auto endpoint = free_endpoint();
  EXPECT_EQ(table.open(endpoint, ListenerKind::kPublic, 1).sockets.size(), 1U);
  EXPECT_EQ(table.open(endpoint, ListenerKind::kPublic, 4).sockets.size(), 4U);
  EXPECT_EQ(table.open(endpoint, ListenerKind::kPublic, 2).sockets.size(), 2U);
  EXPECT_EQ(table.socket_count(), 2U);
}

TEST(ListenerTable, CloseFreesThePort) {
  ListenerTable table;
  const auto endpoint = free_endpoint();
  ASSERT_FALSE(table.open(endpoint, ListenerKind::kPublic, 2).failure);
  EXPECT_TRUE(table.close(endpoint));
  EXPECT_FALSE(table.close(endpoint));
  EXPECT_EQ(table.socket_count(), 0U);
  EXPECT_FALSE(connect_to(endpoint).valid());
  EXPECT_TRUE(test::bound_socket(endpoint).valid());
}

TEST(ListenerTable, WildcardServesBothFamilies) {
  ListenerTable table;
  const net::Endpoint endpoint{net::IpAddress(), free_endpoint().port};
  ASSERT_FALSE(table.open(endpoint, ListenerKind::kPublic, 2).failure);
  EXPECT_TRUE(connect_to({test::loopback(), endpoint.port}).valid());
  const Fd six(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!six.valid()) GTEST_SKIP() << "capability ipv6: this machine has no IPv6";
  EXPECT_TRUE(connect_to({*net::IpAddress::parse("::1"), endpoint.port}).valid());
  EXPECT_EQ(table.open({*net::IpAddress::parse("::"), endpoint.port}, ListenerKind::kPublic, 2).sockets.size(), 2U);
  EXPECT_EQ(table.socket_count(), 2U);
}

TEST(ListenerTable, OwnWildcardAndAddressDoNotShareAPort) {
  ListenerTable table;
  const auto endpoint = free_endpoint();
  ASSERT_FALSE(table.open({net::IpAddress(), endpoint.port}, ListenerKind::kTunnel, 1).failure);
  const auto refused = table.open(endpoint, ListenerKind::kPublic, 1);
  ASSERT_TRUE(refused.failure);
  const Error error = describe(endpoint, *refused.failure);
  EXPECT_EQ(error.code(), Code::kExists);
  EXPECT_THAT(error.message(), HasSubstr("in this relay already (every address, for agents)"));
}

TEST(ListenerTable, ClaimedKindStaysUnclaimedKindMayChange) {
  ListenerTable table;
  const auto endpoint = free_endpoint();
  ASSERT_FALSE(table.open(endpoint, ListenerKind::kTunnel, 1).failure);
  EXPECT_TRUE(table.open(endpoint, ListenerKind::kPublic, 1).failure);
  table.forget_claims();
  EXPECT_FALSE(table.open(endpoint, ListenerKind::kPublic, 1).failure);
}

TEST(ListenerTable, UnclaimedIsClosedClaimedIsKept) {
  ListenerTable table;
  const auto kept = free_endpoint();
  ASSERT_FALSE(table.open(kept, ListenerKind::kPublic, 1).failure);
  const auto dropped = free_endpoint();
  ASSERT_FALSE(table.open(dropped, ListenerKind::kPublic, 2).failure);
  EXPECT_TRUE(table.unclaimed_public().empty());
  table.forget_claims();
  EXPECT_EQ(table.unclaimed_public().size(), 3U);
  ASSERT_FALSE(table.open(kept, ListenerKind::kPublic, 1).failure);
  EXPECT_EQ(table.unclaimed_public().size(), 2U);
  EXPECT_EQ(table.close_unclaimed(), 1U);
  EXPECT_TRUE(connect_to(kept).valid());
  EXPECT_FALSE(connect_to(dropped).valid());
  EXPECT_EQ(table.socket_count(), 1U);
}

TEST(ListenerTable, LimitIsKept) {
  ListenerTable table(2);
  const auto endpoint = free_endpoint();
  const auto refused = table.open(endpoint, ListenerKind::kPublic, 3);
  ASSERT_TRUE(refused.failure);
  EXPECT_EQ(describe(endpoint, *refused.failure).code(), Code::kExhausted);
  EXPECT_EQ(table.socket_count(), 0U);
}

TEST(ListenerTable, ForeignAddressIsNamed) {
  ListenerTable table;
  const auto endpoint = *net::Endpoint::parse("203.0.113.77:8888");
  const auto refused = table.open(endpoint, ListenerKind::kPublic, 1);
  ASSERT_TRUE(refused.failure);
  EXPECT_THAT(describe(endpoint, *refused.failure).message(), HasSubstr("203.0.113.77 is not an address"));
}

// A child that listens (with SO_REUSEPORT, which must not let us in) until it is killed.
class Squatter {
 public:
  explicit Squatter(net::IpAddress address) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    sockaddr_storage where{};
    const socklen_t length = net::Endpoint{address, net::Port{0}}.to_sockaddr(where);
    ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&where), length);
    ::listen(socket_.get(), 1);
    endpoint = test::local_address(socket_.get());
    pid = ::fork();
    if (pid == 0) {
      for (;;) ::pause();
    }
    socket_.reset();  // now only the child has it
  }
  ~Squatter() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  net::Endpoint endpoint;
  pid_t pid = 0;

 private:
  Fd socket_;
};

TEST(ListenerTable, PortTakenByAnotherProgramIsNamed) {
  const Squatter squatter(test::loopback());
  ListenerTable table;
  for (const net::Endpoint& wanted : {squatter.endpoint, net::Endpoint{net::IpAddress(), squatter.endpoint.port}}) {
    const auto refused = table.open(wanted, ListenerKind::kPublic, 1);
    ASSERT_TRUE(refused.failure);
    EXPECT_EQ(describe(wanted, *refused.failure).message(), "port " + std::to_string(wanted.port.value) +
                                                                " is in use by unit_holder (pid " +
                                                                std::to_string(squatter.pid) + ")");
  }
}

TEST(PortOwner, FallsBackToTheUserAndToNothing) {
  const test::Scratch scratch;
  std::filesystem::create_directories(scratch / "net");
  const char* header =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
  std::ofstream(scratch / "net/tcp") << header
                                     << "   0: 0100007F:1F90 0200007F:C350 01 00000000:00000000 00:00000000 00000000 "
                                        "    0        0 11 1 0\n"
                                     << "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 "
                                        "54321        0 12 1 0\n"
                                     << "nonsense\n\n";
  std::ofstream(scratch / "net/tcp6")
      << header
      << "   0: B80D0120000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 "
         "00:00000000 00000000     7        0 13 1 0\n";
  EXPECT_EQ(port_owner(*net::Endpoint::parse("127.0.0.1:8080"), scratch.path()),
            "a program of user 54321 (see ss -ltnp)");
  EXPECT_EQ(port_owner(*net::Endpoint::parse("[::]:8080"), scratch.path()), "a program of user 54321 (see ss -ltnp)");
  EXPECT_EQ(port_owner(*net::Endpoint::parse("127.0.0.2:8080"), scratch.path()), "");
  EXPECT_EQ(port_owner(*net::Endpoint::parse("[2001:db8::2]:8081"), scratch.path()), "");
  EXPECT_THAT(port_owner(*net::Endpoint::parse("[2001:db8::1]:8081"), scratch.path()), HasSubstr("a program of user "));
}

TEST(PortOwner, NamesTheLowestPidAndEscapesItsName) {
  const test::Scratch scratch;
  std::filesystem::create_directories(scratch / "net");
  std::ofstream(scratch / "net/tcp")
      << "   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 33        0 99 1 0\n";
  for (const char* pid : {"812", "90"}) {
    std::filesystem::create_directories(scratch / (std::string(pid) + "/fd"));
    std::filesystem::create_symlink("socket:[99]", scratch / (std::string(pid) + "/fd/4"));
    std::ofstream(scratch / (std::string(pid) + "/comm")) << "ng\x1b[2Jinx\n";
  }
  EXPECT_EQ(port_owner(*net::Endpoint::parse("127.0.0.1:80"), scratch.path()), "ng\\x1b[2Jinx (pid 90)");
}

TEST(VisitorReset, QueuedVisitorsGetRst) {
  ListenerTable table;
  const auto endpoint = free_endpoint();
  const int listener = table.open(endpoint, ListenerKind::kPublic, 1).sockets[0];
  const Fd one = connect_to(endpoint);
  const Fd two = connect_to(endpoint);
  EXPECT_EQ(reset_queued(listener).count, 2U);
  for (const Fd* visitor : {&one, &two}) {
    char byte;
    EXPECT_EQ(::recv(visitor->get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
  }
  EXPECT_EQ(reset_queued(listener).count, 0U);
  EXPECT_EQ(reset_queued(-1).os_errno, EBADF);
}

TEST(LocalPorts, GivesCopiesThatShareTheBacklog) {
  const Fd admin(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  LocalPorts ports(admin.get());
  const auto endpoint = free_endpoint();
  std::vector<Fd> sockets;
  const auto keep = [&](Result<std::vector<Fd>> opened) {
    ASSERT_TRUE(opened) << opened.error().message();
    sockets = std::move(*opened);
  };
  ports.open(endpoint, ListenerKind::kPublic, 2, keep);
  ASSERT_EQ(sockets.size(), 2U);
  sockets.clear();
  const Fd visitor = connect_to(endpoint);
  ASSERT_TRUE(visitor.valid());
  ports.open(endpoint, ListenerKind::kPublic, 2, keep);
  int accepted = 0;
  for (const Fd& socket : sockets) accepted += Fd(::accept(socket.get(), nullptr, nullptr)).valid() ? 1 : 0;
  EXPECT_EQ(accepted, 1);
  sockets.clear();
  ports.close(endpoint);
  EXPECT_FALSE(connect_to(endpoint).valid());
  ports.open_admin(keep);
  EXPECT_EQ(sockets.size(), 1U);
}

}  // namespace
}  // namespace nfr::holder
