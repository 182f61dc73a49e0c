// SPDX-License-Identifier: GPL-2.0-only
// Every field of a request at and beyond its limits, every size, and random bytes.
#include "holder/message.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "relay_child.hpp"

namespace nfr::holder {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

const net::Endpoint kFour = *net::Endpoint::parse("203.0.113.5:8888");
const net::Endpoint kSix = *net::Endpoint::parse("[2001:db8::5]:443");

TEST(Message, RequestsComeThroughUnchanged) {
  for (const net::Endpoint& endpoint : {kFour, kSix}) {
    const auto opened = check_request(bytes_of(make_open(3, endpoint, ListenerKind::kTunnel, 64)));
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->type, RequestType::kOpenListeners);
    EXPECT_EQ(opened->request_id, 3U);
    EXPECT_EQ(opened->endpoint, endpoint);
    EXPECT_EQ(opened->kind, ListenerKind::kTunnel);
    EXPECT_EQ(opened->count, 64U);
    const auto closed = check_request(bytes_of(make_close(4, endpoint)));
    ASSERT_TRUE(closed);
    EXPECT_EQ(closed->type, RequestType::kCloseListeners);
    EXPECT_EQ(closed->endpoint, endpoint);
  }
  EXPECT_TRUE(check_request(bytes_of(make_open(1, {}, ListenerKind::kAdmin, 1))));
  EXPECT_TRUE(check_request(bytes_of(make_request(RequestType::kRetainDone, 1))));
  EXPECT_TRUE(check_request(bytes_of(make_request(RequestType::kReady, 1))));
}

TEST(Message, EveryFieldIsChecked) {
  const Request open = make_open(1, kFour, ListenerKind::kPublic, 1);
  const auto refused = [](Request request, const char* field) {
    const auto checked = check_request(bytes_of(request));
    ASSERT_FALSE(checked) << field;
    EXPECT_EQ(checked.error().code(), Code::kProtocol);
    EXPECT_NE(checked.error().message().find(field), std::string::npos) << checked.error().message();
  };
  const auto with = [](Request request, auto change) {
    change(request);
    return request;
  };
  refused(with(open, [](Request& r) { r.magic ^= 1; }), "magic");
  refused(with(open, [](Request& r) { r.type = 0; }), "type");
  refused(with(open, [](Request& r) { r.type = 5; }), "type");
  refused(with(open, [](Request& r) { r.request_id = 0; }), "request id");
  refused(with(open, [](Request& r) { r.family = 0; }), "family");
  refused(with(open, [](Request& r) { r.family = 5; }), "family");
  refused(with(open, [](Request& r) { r.kind = 0; }), "kind");
  refused(with(open, [](Request& r) { r.kind = 4; }), "kind");
  refused(with(open, [](Request& r) { r.port = 0; }), "port");
  refused(with(open, [](Request& r) { r.count = 0; }), "count");
  refused(with(open, [](Request& r) { r.count = 65; }), "count");
  refused(with(open, [](Request& r) { r.count = 0xFFFFFFFF; }), "count");
  refused(with(open, [](Request& r) { r.address[15] = 1; }), "IPv4 address");
  const Request admin = make_open(1, {}, ListenerKind::kAdmin, 1);
  refused(with(admin, [](Request& r) { r.count = 2; }), "count");
  refused(with(admin, [](Request& r) { r.port = 1; }), "port");
  const Request close = make_close(1, kFour);
  refused(with(close, [](Request& r) { r.kind = 1; }), "kind");
  refused(with(close, [](Request& r) { r.count = 1; }), "count");
  refused(with(close, [](Request& r) { r.family = 9; }), "family");
  const Request ready = make_request(RequestType::kReady, 1);
  refused(with(ready, [](Request& r) { r.family = 4; }), "family");
  refused(with(ready, [](Request& r) { r.port = 4; }), "port");
  refused(with(ready, [](Request& r) { r.address[3] = 4; }), "address");
  refused(with(ready, [](Request& r) { r.kind = 1; }), "kind");
  refused(with(ready, [](Request& r) { r.count = 1; }), "count");
}

TEST(Message, EveryByteChangedIsRefusedOrARequestWithinItsLimits) {
  for (const Request& good :
       {make_open(1, kFour, ListenerKind::kPublic, 1), make_open(2, kSix, ListenerKind::kTunnel, 64),
        make_close(3, kSix), make_request(RequestType::kReady, 4)}) {
    std::array<std::byte, sizeof(Request)> packet{};
    for (std::size_t at = 0; at < packet.size(); ++at) {
      for (int step = 1; step < 256; ++step) {
        std::memcpy(packet.data(), &good, sizeof good);
        packet[at] = static_cast<std::byte>(std::to_integer<int>(packet[at]) + step);
        const auto checked = check_request(packet);
        if (!checked) {
          ASSERT_EQ(checked.error().code(), Code::kProtocol);
          continue;
        }
        ASSERT_GE(at, 4U) << "the magic was changed";
        ASSERT_LE(checked->count, 64U);
        ASSERT_NE(checked->request_id, 0U);
      }
    }
  }
}

TEST(Message, EverySizeButTheRightOneIsRefused) {
  std::array<std::byte, sizeof(Request) + 8> packet{};
  const Request open = make_open(1, kFour, ListenerKind::kPublic, 1);
  std::memcpy(packet.data(), &open, sizeof open);
  for (std::size_t size = 0; size <= packet.size(); ++size) {
    EXPECT_EQ(check_request(std::span(packet).first(size)).ok(), size == sizeof(Request)) << size;
    EXPECT_EQ(request_id_of(std::span(packet).first(size)), size == sizeof(Request) ? 1U : 0U);
  }
}

TEST(Message, RandomBytesGiveOnlyValuesInRange) {
  std::mt19937_64 random(3);
  unsigned accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    Request request = make_open(random(), kSix, ListenerKind::kPublic, 2);
    auto* raw = reinterpret_cast<unsigned char*>(&request);
    for (int flips = 0; flips < 2; ++flips) raw[random() % sizeof request] = static_cast<unsigned char>(random());
    const auto checked = check_request(bytes_of(request));
    if (!checked) continue;
    ++accepted;
    if (checked->type != RequestType::kOpenListeners) continue;
    EXPECT_GE(checked->count, 1U);
    EXPECT_LE(checked->count, kSocketCountMax);
    EXPECT_NE(checked->endpoint.port.value, 0);
  }
  EXPECT_GT(accepted, 0U);
}

TEST(Message, FailureKeepsItsPiecesAndTheOwnerIsCut) {
  const OpenFailure failure{Code::kSystem, EADDRINUSE, std::string(200, 'n')};
  const auto reply = check_reply(bytes_of(make_reply(9, failure)));
  ASSERT_TRUE(reply);
  const OpenFailure back = failure_of(*reply);
  EXPECT_EQ(reply->request_id, 9U);
  EXPECT_EQ(back.os_errno, EADDRINUSE);
  EXPECT_EQ(back.owner, std::string(63, 'n'));
}

TEST(Message, BadRepliesAreRefused) {
  const Reply good = make_reply(1);
  EXPECT_TRUE(check_reply(bytes_of(good)));
  Reply bad = good;
  bad.status = 99;
  EXPECT_FALSE(check_reply(bytes_of(bad)));
  bad = good;
  bad.fd_count = 65;
  EXPECT_FALSE(check_reply(bytes_of(bad)));
  bad = good;
  bad.owner.fill('x');
  EXPECT_FALSE(check_reply(bytes_of(bad)));
  EXPECT_FALSE(check_reply(bytes_of(good).first(sizeof good - 1)));
}

TEST(Message, DescribesWhatToDo) {
  const auto text = [](int error, std::string owner = {}) {
    return describe(kFour, OpenFailure{Code::kSystem, error, std::move(owner)}).message();
  };
  EXPECT_EQ(text(EADDRINUSE, "nginx (pid 812)"), "port 8888 is in use by nginx (pid 812)");
  EXPECT_EQ(text(EADDRINUSE), "port 8888 is in use by another program");
  EXPECT_NE(text(EADDRNOTAVAIL).find("203.0.113.5 is not an address of this machine"), std::string::npos);
  EXPECT_NE(text(EACCES).find("CAP_NET_BIND_SERVICE"), std::string::npos);
  EXPECT_NE(text(EMFILE).find("LimitNOFILE"), std::string::npos);
  EXPECT_NE(text(ENOMEM).find("opening 203.0.113.5:8888: "), std::string::npos);
}

}  // namespace
}  // namespace nfr::holder
