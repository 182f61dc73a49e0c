// SPDX-License-Identifier: GPL-2.0-only
// Which automatic port: the same again, nobody else's, and always one while one is left.
#include "control/port_chooser.hpp"

#include <gtest/gtest.h>

namespace nfr::control {
namespace {

constexpr core::AgentId kAgent{1};
constexpr core::AgentId kOther{2};

class PortChooserTest : public ::testing::Test {
 protected:
  std::uint16_t choose(core::AgentId agent, const char* name, const char* target) {
    const auto port = chooser.choose(agent, name, target, [&](net::Port each) { return taken.contains(each); });
    return port ? port->value : 0;
  }
  PortChooser chooser;
  std::set<net::Port> taken;
};

TEST_F(PortChooserTest, ItFollowsFromTheNames) {
  const std::uint16_t port = choose(kAgent, "client1", "127.0.0.1:3000");
  EXPECT_GE(port, PortChooser::kLow);
  EXPECT_EQ(choose(kAgent, "client1", "127.0.0.1:3000"), port);
  EXPECT_NE(choose(kAgent, "client1", "127.0.0.1:3001"), port);
  EXPECT_NE(choose(kAgent, "client2", "127.0.0.1:3000"), port);
}

TEST_F(PortChooserTest, AMemoryWinsOverTheNames) {
  chooser.remember({kAgent, "127.0.0.1:3000", net::Port{40'000}});
  EXPECT_EQ(choose(kAgent, "renamed", "127.0.0.1:3000"), 40'000);
  chooser.remember({kAgent, "127.0.0.1:3000", net::Port{40'001}});
  EXPECT_EQ(choose(kAgent, "renamed", "127.0.0.1:3000"), 40'001);
  chooser.forget(kAgent);
  EXPECT_NE(choose(kAgent, "renamed", "127.0.0.1:3000"), 40'001);
}

TEST_F(PortChooserTest, FromATakenMemoryItGoesOn) {
  chooser.remember({kAgent, "127.0.0.1:3000", net::Port{65'534}});
  taken = {net::Port{65'534}, net::Port{65'535}};
  EXPECT_EQ(choose(kAgent, "client1", "127.0.0.1:3000"), PortChooser::kLow);
}

TEST_F(PortChooserTest, WhatOthersHadIsSparedWhileAnythingElseIsLeft) {
  const std::uint16_t port = choose(kAgent, "client1", "127.0.0.1:3000");
  chooser.remember({kOther, "127.0.0.1:1", net::Port{port}});
  EXPECT_EQ(choose(kAgent, "client1", "127.0.0.1:3000"), PortChooser::after(net::Port{port}).value);
  for (int each = PortChooser::kLow; each <= PortChooser::kHigh; ++each) {
    if (each != port) taken.insert(net::Port{static_cast<std::uint16_t>(each)});
  }
  EXPECT_EQ(choose(kAgent, "client1", "127.0.0.1:3000"), port);
  taken.insert(net::Port{port});
  EXPECT_EQ(choose(kAgent, "client1", "127.0.0.1:3000"), 0);
}

TEST_F(PortChooserTest, AfterTheLastComesTheFirst) {
  EXPECT_EQ(PortChooser::after(net::Port{65'535}).value, PortChooser::kLow);
  EXPECT_EQ(PortChooser::after(net::Port{30'000}).value, 30'001);
  EXPECT_EQ(PortChooser::after(net::Port{80}).value, PortChooser::kLow);
}

}  // namespace
}  // namespace nfr::control
