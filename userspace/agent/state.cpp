// SPDX-License-Identifier: GPL-2.0-only
#include "agent/state.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/text.hpp"
#include "core/allow_list.hpp"

namespace nfr::agent {
namespace {

using nlohmann::json;

constexpr std::size_t kFileMax = 64 * 1024;
constexpr const char* kMember = "relay";
constexpr const char* kJoining = "join";

std::string allow_path(const std::string& directory) { return directory + "/allow.json"; }

Error damaged(const std::string& path, std::string_view what) {
  return {Code::kInvalid, fmt::format("{}: {}; ask the relay's operator for a new join line (nfctl agent rejoin NAME)",
                                      escape(path), what)};
}

bool read_pin(const json& text, core::Pin& pin) {
  const auto raw = text.is_string() ? base64url_decode(text.get<std::string>()) : std::string();
  if (!raw || raw->size() != pin.size()) return false;
  std::copy_n(as_bytes(*raw).begin(), pin.size(), pin.begin());
  return true;
}

Result<Membership> parse(const std::string& path, const std::string& content) {
  const json object = json::parse(content, nullptr, false);
  if (!object.is_object()) return damaged(path, "not a JSON object");
  Membership out;
  const json addresses = object.value("addresses", json());
  if (addresses.is_array()) {
    for (const json& address : addresses) {
      if (address.is_string()) out.addresses.push_back(address.get<std::string>());
    }
  }
  const json pins = object.value("pins", json());
  const bool pinned =
      pins.is_array() && pins.size() == 2 && read_pin(pins[0], out.pins[0]) && read_pin(pins[1], out.pins[1]);
  const json name = object.value("name", json());
  const json token = object.value("token", json(""));
  const auto raw_token = token.is_string() ? base64url_decode(token.get<std::string>()) : std::string();
  if (out.addresses.empty() || !pinned || !name.is_string() || !raw_token)
    return damaged(path, "a field is missing or damaged");
  out.name = name.get<std::string>();
  out.token = *raw_token;
  return out;
}

}  // namespace

Result<State> State::open(const std::string& directory) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed) return Error::system("making " + escape(directory), failed.value());
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all, failed);
  const std::string path = directory + "/lock";
  Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return Error::system("opening " + escape(path), errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error(Code::kExists,
                 fmt::format("another nfagent runs with the state in {}; stop it, or give this one another --state",
                             escape(directory)));
  }
  return State(directory, std::move(lock));
}

bool State::joining() const { return ::access((directory_ + "/" + kJoining + ".json").c_str(), F_OK) == 0; }

Result<Membership> State::read(const std::string& stem) const {
  const std::string path = directory_ + "/" + stem + ".json";
  auto content = read_small_file(path, kFileMax);
  if (!content) return content.error();
  auto membership = parse(path, *content);
  if (!membership) return membership;
  auto identity = tls::Identity::load(directory_ + "/" + stem + ".key");
  if (!identity) return identity.error();
  membership->identity = *identity;
  return membership;
}

Result<Membership> State::load() const {
  auto membership = read(joining() ? kJoining : kMember);
  if (membership || membership.error().code() != Code::kNotFound) return membership;
  return Error(Code::kNotFound,
               fmt::format("this machine has not joined a relay (nothing in {}): on the relay type nfctl agent add "
                           "NAME, here nfagent join LINE",
                           escape(directory_)));
}

Status State::write(const std::string& stem, const Membership& membership) const {
  json object = {{"addresses", membership.addresses},
                 {"pins", {base64url(membership.pins[0]), base64url(membership.pins[1])}},
                 {"name", membership.name}};
  if (!membership.token.empty()) object["token"] = base64url(as_bytes(membership.token));
  return write_private_file(directory_ + "/" + stem + ".json", object.dump(1) + "\n");
}

Result<Membership> State::begin_join(const proto::JoinLine& line) {
  auto identity = tls::Identity::generate();
  if (!identity) return identity.error();
  // Key first: without join.json it is not looked at.
  abandon_join();
  const Status saved = (*identity)->save(directory_ + "/" + kJoining + ".key");
  if (!saved) return saved.error();
  Membership membership{line.addresses, line.pins, line.name, std::string(as_text(line.token)), *identity};
  const Status written = write(kJoining, membership);
  if (!written) return written.error();
  return membership;
}

Status State::finish_join() {
  if (!joining()) return {};
  const std::string from = directory_ + "/" + kJoining;
  const std::string to = directory_ + "/" + kMember;
  auto membership = read(kJoining);
  if (!membership) return membership.error();
  membership->token.clear();
  // relay.json goes last: until then join.json leads, and its key is in place under both names.
  Status saved = membership->identity->save(to + ".key");
  if (saved) saved = write(kMember, *membership);
  if (!saved) return saved;
  abandon_join();
  return {};
}

void State::abandon_join() {
  for (const char* end : {".json", ".key"}) ::unlink((directory_ + "/" + kJoining + end).c_str());
}

Status State::save_pins(const std::array<core::Pin, 2>& pins) {
  const char* stem = joining() ? kJoining : kMember;
  auto membership = read(stem);
  if (!membership) return membership.error();
  if (membership->pins == pins) return {};
  membership->pins = pins;
  return write(stem, *membership);
}

Result<std::vector<std::string>> State::allowed_rules(const std::string& directory) {
  const auto content = read_small_file(allow_path(directory), kFileMax);
  if (!content && content.error().code() == Code::kNotFound) return std::vector<std::string>{};
  if (!content) return content.error();
  const json rules = json::parse(*content, nullptr, false);
  std::vector<std::string> out;
  if (!rules.is_array())
    return Error(Code::kInvalid, escape(allow_path(directory)) + " is not a list; remove it and allow again");
  for (const json& rule : rules) {
    if (rule.is_string()) out.push_back(rule.get<std::string>());
  }
  return out;
}

Status State::add_allowed_rules(const std::string& directory, const std::vector<std::string>& rules) {
  const auto parsed = core::AllowList::parse(rules);
  if (!parsed) return parsed.error();
  auto all = allowed_rules(directory);
  if (!all) return all.error();
  for (const std::string& rule : rules) {
    if (std::find(all->begin(), all->end(), rule) == all->end()) all->push_back(rule);
  }
  return write_private_file(allow_path(directory), json(*all).dump() + "\n");
}

}  // namespace nfr::agent
