// SPDX-License-Identifier: GPL-2.0-only
// What is accepted from a listener has the listener's options, on the kernel this runs on: nobody sets them again.
#include "net/tcp_options.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/fd.hpp"
#include "net/address.hpp"

namespace nfr::net {
namespace {

int option(const Fd& socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(socket.get(), level, name, &value, &size), 0);
  return value;
}

void expect_reset_on_close_and_nodelay(const Fd& socket) {
  linger value{};
  socklen_t length = sizeof value;
  ASSERT_EQ(::getsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &value, &length), 0);
  EXPECT_EQ(value.l_onoff, 1);
  EXPECT_EQ(value.l_linger, 0);
  EXPECT_EQ(option(socket, IPPROTO_TCP, TCP_NODELAY), 1);
}

void expect_keepalive(const Fd& socket, int idle) {
  EXPECT_EQ(option(socket, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(socket, IPPROTO_TCP, TCP_KEEPIDLE), idle);
  EXPECT_EQ(option(socket, IPPROTO_TCP, TCP_KEEPINTVL), 10);
  EXPECT_EQ(option(socket, IPPROTO_TCP, TCP_KEEPCNT), 3);
}

class TcpOptionsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(TcpOptionsTest, AnAcceptedConnectionHasItsListeners) {
  sockaddr_storage storage{};
  socklen_t length = Endpoint{*IpAddress::parse(GetParam()), Port{0}}.to_sockaddr(storage);
  const Fd listener(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(set_options(listener.get()), 0);
  set_keepalive(listener.get(), kChannelKeepalive);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&storage), &length), 0);
  const Fd peer(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(peer.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  const Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  expect_reset_on_close_and_nodelay(accepted);
  expect_keepalive(accepted, 25);
}

INSTANTIATE_TEST_SUITE_P(Families, TcpOptionsTest, ::testing::Values("127.0.0.1", "::1"));

TEST(TcpOptions, OfAConnectionThatIsStillToBeMade) {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(set_options(socket.get()), 0);
  expect_reset_on_close_and_nodelay(socket);
  EXPECT_EQ(option(socket, SOL_SOCKET, SO_KEEPALIVE), 0);
  set_keepalive(socket.get(), kVisitorKeepalive);
  expect_keepalive(socket, 60);
}

TEST(TcpOptions, AUnixSocketHasOnlyTheLinger) {
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(set_options(socket.get()), 0);
  set_keepalive(socket.get(), kVisitorKeepalive);
}

TEST(TcpOptions, WhatIsNoSocketIsAnError) { EXPECT_EQ(set_options(-1), EBADF); }

}  // namespace
}  // namespace nfr::net
