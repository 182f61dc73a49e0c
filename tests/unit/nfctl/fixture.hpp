// SPDX-License-Identifier: GPL-2.0-only
// nfctl under a made-up environment: what the relay would answer is set by the test, what it was asked is kept.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "nfctl/app.hpp"
#include "nfr/admin/admin.h"

namespace nfr::nfctl {

using nlohmann::json;

class NfctlTest : public ::testing::Test {
 protected:
  /// Runs a command line, split at spaces.
  Outcome type(const std::string& line) {
    std::istringstream words(line);
    return run({std::istream_iterator<std::string>(words), {}}, environment());
  }

  Environment environment() {
    return {.variable = [this](const std::string& name) -> std::optional<std::string> {
              const auto found = variables.find(name);
              if (found == variables.end()) return std::nullopt;
              return found->second;
            },
            .exists = [this](const std::string& path) { return path == existing_file; },
            .call = [this](const std::string& socket, const Call& call) -> Result<admin::Answer> {
              asked_at = socket;
              asked = call;
              if (way_there) return *way_there;
              return answer;
            },
            .root = root,
            .view = {.colour = colour, .now = std::chrono::system_clock::from_time_t(kNow)}};
  }

  void relay_answers(json result) { answer.result = std::move(result); }
  void relay_refuses(Code code, const std::string& message) {
    answer.code = code_name(code);
    answer.error = Error(code, message);
  }

  static constexpr std::time_t kNow = 1'700'000'000;  // Tue 14 Nov 2023 22:13:20 UTC
  std::map<std::string, std::string> variables;
  std::string existing_file;
  bool root = true;
  bool colour = false;
  admin::Answer answer;
  std::optional<Error> way_there;
  std::string asked_at;
  std::optional<Call> asked;
};

}  // namespace nfr::nfctl
