// SPDX-License-Identifier: GPL-2.0-only
#include "holder/local_ports.hpp"

#include <fcntl.h>

#include <cerrno>

#include "base/log.hpp"
#include "holder/notify.hpp"

namespace nfr::holder {
namespace {

Result<std::vector<Fd>> copies(std::span<const int> sockets) {
  std::vector<Fd> result;
  for (const int socket : sockets) {
    Fd copy(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
    if (!copy.valid()) return Error::system("copying a listener", errno);
    result.push_back(std::move(copy));
  }
  return result;
}

}  // namespace

void LocalPorts::open(const net::Endpoint& endpoint, ListenerKind kind, unsigned count, Opened done) {
  const auto opened = table_.open(endpoint, kind, count);
  if (opened.failure) return done(describe(endpoint, *opened.failure));
  done(copies(opened.sockets));
}

void LocalPorts::open_admin(Opened done) { done(copies({&admin_fd_, 1})); }

void LocalPorts::ready() {
  if (const Status told = notify_service_manager("READY=1"); !told) spdlog::warn("{}", told.error().message());
}

}  // namespace nfr::holder
