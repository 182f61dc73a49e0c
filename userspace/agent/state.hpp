// SPDX-License-Identifier: GPL-2.0-only
// What an agent keeps on disk, in STATE: its key, the relay it belongs to, and rules added by `nfagent allow`.
// A join is kept aside (join.json, join.key) until the relay accepted it, so that a bad line spoils nothing and a
// crash in between loses nothing. Read and written on the agent's loop thread; files are 0600 and replaced whole.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "proto/join_line.hpp"
#include "tls/tls.hpp"

namespace nfr::agent {

/// Where an agent belongs.
struct Membership {
  std::vector<std::string> addresses;  ///< HOST:PORT of the relay
  std::array<core::Pin, 2> pins{};
  std::string name;
  std::string token;  ///< raw; only while joining
  std::shared_ptr<const tls::Identity> identity;
};

class State {
 public:
  /// Makes the directory (0700) and locks it: a second agent of the same state would fight the first for its session.
  static Result<State> open(const std::string& directory);

  /// The join under way if there is one, else the membership; kNotFound names the command that makes one.
  Result<Membership> load() const;
  /// Stores a join under way, with a fresh key.
  Result<Membership> begin_join(const proto::JoinLine& line);
  Status finish_join();  ///< the relay accepted: what was aside takes the place
  void abandon_join();   ///< the relay refused
  Status save_pins(const std::array<core::Pin, 2>& pins);

  /// Rules added by `nfagent allow`; read again when the file changed.
  Result<std::vector<std::string>> allowed_rules() const { return allowed_rules(directory_); }
  static Result<std::vector<std::string>> allowed_rules(const std::string& directory);
  static Status add_allowed_rules(const std::string& directory, const std::vector<std::string>& rules);

 private:
  State(std::string directory, Fd lock) : directory_(std::move(directory)), lock_(std::move(lock)) {}
  bool joining() const;
  Result<Membership> read(const std::string& stem) const;
  Status write(const std::string& stem, const Membership& membership) const;

  std::string directory_;
  Fd lock_;
};

}  // namespace nfr::agent
