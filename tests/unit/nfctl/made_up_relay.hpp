// SPDX-License-Identifier: GPL-2.0-only
// nfctl with a made-up relay and machine: answers by command name, files, programs' outputs, and a clock.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "nfctl/app.hpp"
#include "nfr/admin/admin.h"

namespace nfr::nfctl {

using nlohmann::json;

class MadeUpRelay : public ::testing::Test {
 protected:
  /// Runs a command line, split at spaces.
  Outcome type(const std::string& line) {
    std::istringstream words(line);
    return run({std::istream_iterator<std::string>(words), {}}, environment());
  }

  Environment environment() {
    return {.variable = [](const std::string&) -> std::optional<std::string> { return std::nullopt; },
            .exists = [this](const std::string& path) { return files.contains(path); },
            .call = [this](const std::string&, const Call& call) { return answer(call); },
            .root = root,
            .view = {.colour = colour, .now = now()},
            .read = [this](const std::string& path) -> Result<std::string> {
              if (!files.contains(path)) return Error(Code::kNotFound, path + " does not exist");
              return files[path];
            },
            .output_of = [this](const auto& argv) { return output_of(argv); },
            .terminal = terminal,
            .show =
                [this](const std::string& out, const std::string& err) {
                  shown.push_back(out);
                  shown_err += err;
                  return true;
                },
            .wait =
                [this](Millis time) {
                  waited += time;
                  return --rounds > 0;
                },
            .now = [this] { return now() + waited; }};
  }

  Result<admin::Answer> answer(const Call& call) {
    asked.push_back(call);
    if (way_there) return *way_there;
    admin::Answer out;
    if (refusal) {
      out.code = code_name(refusal->code());
      out.error = *refusal;
    }
    out.result = answers.value(call.cmd, json::object());
    return out;
  }

  std::optional<std::string> output_of(const std::vector<std::string>& argv) {
    std::string line;
    for (const std::string& word : argv) line += (line.empty() ? "" : " ") + word;
    run_programs.push_back(line);
    const auto found = programs.find(line);
    if (found == programs.end()) return std::nullopt;
    return found->second;
  }

  static WallTime now() { return std::chrono::system_clock::from_time_t(kNow); }

  static constexpr std::time_t kNow = 1'700'000'000;  // Tue 14 Nov 2023 22:13:20 UTC
  json answers = json::object();
  std::optional<Error> way_there, refusal;
  std::vector<Call> asked;
  std::map<std::string, std::string> files, programs;
  std::vector<std::string> run_programs, shown;
  std::string shown_err;
  Millis waited{0};
  int rounds = 1;
  bool root = false, colour = false, terminal = false;
};

}  // namespace nfr::nfctl
