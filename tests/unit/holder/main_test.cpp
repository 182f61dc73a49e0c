// SPDX-License-Identifier: GPL-2.0-only
// main of unit_holder: the tests, or the scripted relay process that the holder under test starts.
#include <gtest/gtest.h>

#include <string_view>

#include "relay_child.hpp"

int main(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == "--relay-process") return nfr::holder::test::relay_child_main(argc, argv);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
