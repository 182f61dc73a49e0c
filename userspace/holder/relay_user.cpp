// SPDX-License-Identifier: GPL-2.0-only
#include "holder/relay_user.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <optional>

#include "base/log.hpp"
#include "base/text.hpp"

namespace nfr::holder {
namespace {

constexpr uid_t kNobody = 65534;
constexpr const char* kDefaultUser = "netferry";

std::optional<RelayUser> by_name(const std::string& name) {
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return RelayUser{entry->pw_uid, entry->pw_gid, entry->pw_name};
}

RelayUser by_uid(uid_t uid) {
  const passwd* entry = ::getpwuid(uid);
  if (entry == nullptr) return {uid, uid, fmt::format("{}", uid)};
  return {uid, entry->pw_gid, entry->pw_name};
}

Result<RelayUser> find_user(const std::string& wanted) {
  if (const auto found = by_name(wanted)) return *found;
  uid_t uid = 0;
  const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), uid);
  const bool number = error == std::errc() && end == wanted.data() + wanted.size() && uid != static_cast<uid_t>(-1);
  if (number) return by_uid(uid);
  return Error(Code::kNotFound, fmt::format("there is no user '{}': create it (useradd --system {}) or name another "
                                            "with --user",
                                            escape(wanted), escape(wanted)));
}

RelayUser default_user() {
  if (auto found = by_name(kDefaultUser)) return *found;
  spdlog::info("there is no user '{}': the relay process runs as uid {} (--user names another)", kDefaultUser, kNobody);
  return by_uid(kNobody);
}

}  // namespace

Result<RelayUser> resolve_relay_user(const std::string& wanted) {
  if (::geteuid() != 0) {
    const RelayUser self = by_uid(::geteuid());
    if (wanted.empty() || wanted == self.name || wanted == fmt::format("{}", self.uid)) return self;
    return Error(Code::kDenied, fmt::format("running as user '{}' needs root", escape(wanted)));
  }
  if (wanted.empty()) return default_user();
  auto user = find_user(wanted);
  if (user && user->uid == 0) {
    return Error(Code::kInvalid, fmt::format("user '{}' is root: the relay process must not be; name another with "
                                             "--user",
                                             escape(wanted)));
  }
  return user;
}

}  // namespace nfr::holder
