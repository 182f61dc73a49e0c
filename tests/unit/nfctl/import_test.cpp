// SPDX-License-Identifier: GPL-2.0-only
// nfctl import: what goes to standard output is a file for apply; what was left goes to standard error.
#include "unit/nfctl/made_up_relay.hpp"

namespace nfr::nfctl {
namespace {

using ::testing::HasSubstr;
using Import = MadeUpRelay;

TEST_F(Import, PrintsAFileForApply) {
  files["frpc.toml"] =
      "serverAddr = 'relay'\n[[proxies]]\nname = 'ssh'\ntype = 'tcp'\nlocalPort = 22\nremotePort = 6000\n";
  const Outcome outcome = type("import frpc.toml --agent home");
  EXPECT_EQ(outcome.exit_code, NFR_EXIT_OK);
  EXPECT_EQ(
      outcome.out,
      "# Made by nfctl import. On the relay:\n#   nfctl agent add home\n# and, with this file: nfctl apply FILE\n\n"
      "[[mapping]]\npublic = \"6000/tcp\"\nagent = \"home\"\ntarget = \"127.0.0.1:22\"\n");
  EXPECT_THAT(outcome.err, HasSubstr("not carried over: frpc.toml, line 1: serverAddr: "));
  EXPECT_TRUE(asked.empty()) << "no relay is asked";
  files["m"] = outcome.out;
  EXPECT_EQ(type("apply m").exit_code, NFR_EXIT_OK);
  EXPECT_EQ(asked[0].args["mappings"].size(), 1U);
}

TEST_F(Import, MistakesAreNamed) {
  files["x.toml"] = "a = 1\n";
  EXPECT_THAT(type("import x.toml").err, HasSubstr("name what it is: --format frpc, frps, rathole or port-proxy"));
  EXPECT_THAT(type("import x.toml --format ngrok").err, HasSubstr("format 'ngrok': expected frpc"));
  EXPECT_THAT(type("import x.toml --agent Me").err, HasSubstr("'Me' is not an agent name"));
  EXPECT_EQ(type("import x.toml").exit_code, NFR_EXIT_FAILED);
  EXPECT_EQ(type("import").exit_code, NFR_EXIT_USAGE);
}

}  // namespace
}  // namespace nfr::nfctl
