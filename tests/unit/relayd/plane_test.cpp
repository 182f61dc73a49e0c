// SPDX-License-Identifier: GPL-2.0-only
// Which listeners the plane keeps and gives back while answers of the holder come late: a mapping that is unmapped
// before its port was opened must not take the port from its successor, nor from the tunnel.
#include "relayd/plane.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <deque>

#include "harness/temp_dir.hpp"

namespace nfr::relayd {
namespace {

class LateListeners final : public holder::ListenerSource {
 public:
  void open(const net::Endpoint& endpoint, holder::ListenerKind, unsigned count, Opened done) override {
    asked.push_back({endpoint, count, std::move(done)});
  }
  void open_admin(Opened) override {}
  void close(const net::Endpoint& endpoint) override { closed.push_back(endpoint.text()); }
  void retain_done() override {}
  void ready() override {}

  struct Asked {
    net::Endpoint endpoint;
    unsigned count;
    Opened done;
  };
  void answer() {
    const Asked next = std::move(asked.front());
    asked.pop_front();
    std::vector<Fd> sockets;
    for (unsigned i = 0; i < next.count; ++i) {
      sockets.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      ASSERT_EQ(::listen(sockets.back().get(), 1), 0);
    }
    next.done(std::move(sockets));
  }
  void refuse() {
    const Asked next = std::move(asked.front());
    asked.pop_front();
    next.done(Error(Code::kExists, "taken"));
  }
  std::deque<Asked> asked;
  std::vector<std::string> closed;
};

class PlaneTest : public ::testing::Test {
 protected:
  void SetUp() override {
    loop = *io::Loop::create({.entries = 64, .buffer_count = 8, .buffer_bytes = 4096});
    keys = *Keys::open(directory.path(), [](std::string_view) { return std::nullopt; });
    tunnel = std::make_unique<Tunnel>(*loop, *keys, TunnelOptions{});
    plane = std::make_unique<Plane>(*loop, listeners, *tunnel);
    ASSERT_TRUE(plane->start_threads(1, {}, {}, crypto));
  }
  void TearDown() override { plane->stop(); }
  void open(std::uint64_t id, const char* ports) {
    plane->open(core::MappingId{id}, *core::PublicPorts::parse(ports),
                [this](Status status) { done.push_back(status.ok()); });
  }

  test::TempDir directory;
  tls::OpenSslCrypto crypto;
  LateListeners listeners;
  std::unique_ptr<io::Loop> loop;
  std::unique_ptr<Keys> keys;
  std::unique_ptr<Tunnel> tunnel;
  std::unique_ptr<Plane> plane;
  std::vector<bool> done;
};

TEST_F(PlaneTest, AnOpenMappingGivesItsPortsBack) {
  open(1, "5000-5001");
  listeners.answer();
  listeners.answer();
  EXPECT_EQ(done, std::vector<bool>{true});
  plane->close(core::MappingId{1});
  EXPECT_EQ(listeners.closed.size(), 2u);
}

TEST_F(PlaneTest, AnAnswerForAnUnmappedMappingFreesThePort) {
  open(1, "8888");
  plane->close(core::MappingId{1});
  EXPECT_TRUE(listeners.closed.empty());
  listeners.answer();
  EXPECT_EQ(listeners.closed.size(), 1u);
}

TEST_F(PlaneTest, ALateAnswerLeavesThePortToItsSuccessor) {
  open(1, "8888");
  plane->close(core::MappingId{1});
  open(2, "8888");
  listeners.answer();
  EXPECT_TRUE(listeners.closed.empty());
  listeners.answer();
  EXPECT_TRUE(listeners.closed.empty());
  plane->close(core::MappingId{2});
  EXPECT_EQ(listeners.closed.size(), 1u);
}

TEST_F(PlaneTest, ASuccessorThatIsRefusedFreesWhatWasLeftToIt) {
  open(1, "8888");
  plane->close(core::MappingId{1});
  open(2, "8888");
  listeners.answer();
  listeners.refuse();
  EXPECT_EQ(done, (std::vector<bool>{true, false}));
  EXPECT_EQ(listeners.closed.size(), 1u);
}

TEST_F(PlaneTest, ARefusedPortIsNotClosed) {
  open(1, "7706-7707");
  listeners.answer();
  listeners.refuse();  // the tunnel has it
  EXPECT_EQ(done, std::vector<bool>{false});
  ASSERT_EQ(listeners.closed.size(), 1u);
  EXPECT_NE(listeners.closed[0].find("7706"), std::string::npos);
}

}  // namespace
}  // namespace nfr::relayd
