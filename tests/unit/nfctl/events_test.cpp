// SPDX-License-Identifier: GPL-2.0-only
// events: changes and visitors turned away, in one order.
#include "unit/nfctl/made_up_relay.hpp"

namespace nfr::nfctl {
namespace {

using Events = MadeUpRelay;

TEST_F(Events, ChangesAndRefusedVisitorsAreMergedByTime) {
  const std::uint64_t ms = std::uint64_t{kNow} * 1000;
  answers["events"] = {{"events",
                        {{{"time", ms - 3000}, {"who", "uid 0"}, {"what", "mapped 8888/tcp -> client1 127.0.0.1:1"}},
                         {{"time", ms - 1000}, {"who", "agent client1"}, {"what", "unmapped 9/tcp"}}}}};
  answers["flows"] = {{"events",
                       {{{"time", ms - 2000},
                         {"visitor", "192.0.2.44:5000"},
                         {"public", "8888/tcp"},
                         {"verdict", "denied"},
                         {"detail", "not in the allow list"}},
                        {{"time", ms - 2500}, {"visitor", "192.0.2.9:1"}, {"verdict", "finished"}}}}};
  EXPECT_EQ(type("events").out,
            "TIME UTC  WHO              WHAT\n"
            "22:13:17  uid 0            mapped 8888/tcp -> client1 127.0.0.1:1\n"
            "22:13:18  192.0.2.44:5000  denied at 8888/tcp: not in the allow list\n"
            "22:13:19  agent client1    unmapped 9/tcp\n");
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[1].args, json({{"recent", true}}));
  EXPECT_EQ(json::parse(type("events --json").out)["events"].size(), 3U);
}

TEST_F(Events, NothingHappened) {
  EXPECT_EQ(type("events").out, "nothing was changed and nobody refused since the relay started\n");
}

TEST_F(Events, StrangeAnswersAreSurvived) {
  answers["events"] = {{"events", {nullptr, 1, {{"time", UINT64_MAX}, {"who", {}}}}}};
  answers["flows"] = json::array({1});
  EXPECT_EQ(type("events").exit_code, NFR_EXIT_OK);
}

}  // namespace
}  // namespace nfr::nfctl
