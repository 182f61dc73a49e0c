// SPDX-License-Identifier: GPL-2.0-only
#include "holder/privileges.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <memory>

namespace nfr::holder {
namespace {

constexpr std::array<cap_value_t, 9> kHolderCapabilities = {
    CAP_NET_ADMIN, CAP_BPF,    CAP_PERFMON, CAP_NET_BIND_SERVICE, CAP_NET_RAW,
    CAP_SETUID,    CAP_SETGID, CAP_SETPCAP, CAP_KILL,
};

using CapSet = std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)>;
CapSet owned(cap_t set) { return {set, &::cap_free}; }

bool kept_by_holder(cap_value_t capability) {
  return std::find(kHolderCapabilities.begin(), kHolderCapabilities.end(), capability) != kHolderCapabilities.end();
}

// Best effort: without CAP_SETPCAP the bounding set stays, which no_new_privs makes harmless.
template <class Keep>
void drop_bounding(Keep keep) {
  for (cap_value_t capability = 0; capability < ::cap_max_bits(); ++capability) {
    if (!keep(capability) && ::cap_get_bound(capability) > 0) ::cap_drop_bound(capability);
  }
}

Status become(const RelayUser& user) {
  if (::geteuid() != 0) return {};
  if (::setgroups(0, nullptr) < 0) return Error::system("giving up supplementary groups", errno);
  if (::setresgid(user.gid, user.gid, user.gid) < 0) return Error::system(fmt::format("becoming gid {}", user.gid), errno);
  if (::setresuid(user.uid, user.uid, user.uid) < 0) return Error::system(fmt::format("becoming uid {}", user.uid), errno);
  // It must not lead back.
  if (user.uid != 0 && ::setuid(0) == 0) return Error(Code::kSystem, "root could be taken back after giving it up");
  return {};
}

Status clear_capabilities() {
  const CapSet none = owned(::cap_init());
  if (!none) return Error::system("making an empty capability set", errno);
  ::cap_reset_ambient();
  if (::cap_set_proc(none.get()) < 0) return Error::system("giving up capabilities", errno);
  const CapSet now = owned(::cap_get_proc());
  if (!now) return Error::system("reading capabilities", errno);
  if (::cap_compare(now.get(), none.get()) != 0) return Error(Code::kSystem, "capabilities are left after giving them up");
  return {};
}

// Both survive exec of a file without set-id bits; PDEATHSIG is cleared by a change of user, so it comes last.
Status bind_to_parent(pid_t parent) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return Error::system("setting no_new_privs", errno);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) return Error::system("setting PDEATHSIG", errno);
  // The parent may have died before the line above took effect.
  if (::getppid() != parent) return Error(Code::kUnavailable, "the holder is gone");
  return {};
}

}  // namespace

Status drop_all_privileges(const RelayUser& user, pid_t parent) {
  drop_bounding([](cap_value_t) { return false; });
  if (Status status = become(user); !status) return status;
  if (Status status = clear_capabilities(); !status) return status;
  return bind_to_parent(parent);
}

Status keep_holder_capabilities() {
  const CapSet now = owned(::cap_get_proc());
  const CapSet kept = owned(::cap_init());
  if (!now || !kept) return Error::system("reading capabilities", errno);
  for (const cap_value_t capability : kHolderCapabilities) {
    cap_flag_value_t permitted = CAP_CLEAR;
    // A kernel that does not know the capability has nothing to keep.
    if (::cap_get_flag(now.get(), capability, CAP_PERMITTED, &permitted) < 0 || permitted != CAP_SET) continue;
    for (const cap_flag_t set : {CAP_PERMITTED, CAP_EFFECTIVE}) ::cap_set_flag(kept.get(), set, 1, &capability, CAP_SET);
  }
  drop_bounding(kept_by_holder);
  ::cap_reset_ambient();
  if (::cap_set_proc(kept.get()) < 0) return Error::system("keeping only the holder's capabilities", errno);
  return {};
}

}  // namespace nfr::holder
