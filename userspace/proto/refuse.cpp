// SPDX-License-Identifier: GPL-2.0-only
// Tables behind RefuseReason, generated from the wire contract. Used by both daemons on any thread; holds no state.
#include "proto/refuse.hpp"

#include <cerrno>

namespace nfr::proto {

std::string_view refuse_name(RefuseReason reason) {
  switch (reason) {
#define NFR_REFUSE_CASE(number, name, text) \
  case RefuseReason::name: return #name;
    NFR_REFUSE_REASONS(NFR_REFUSE_CASE)
#undef NFR_REFUSE_CASE
  }
  return "unknown";
}

std::string_view refuse_text(RefuseReason reason) {
  switch (reason) {
#define NFR_REFUSE_CASE(number, name, text) \
  case RefuseReason::name: return text;
    NFR_REFUSE_REASONS(NFR_REFUSE_CASE)
#undef NFR_REFUSE_CASE
  }
  return "unknown reason";
}

std::optional<RefuseReason> refuse_from_wire(std::uint16_t number) {
  switch (number) {
#define NFR_REFUSE_CASE(number, name, text) \
  case number: return RefuseReason::name;
    NFR_REFUSE_REASONS(NFR_REFUSE_CASE)
#undef NFR_REFUSE_CASE
  }
  return std::nullopt;
}

RefuseReason refuse_from_errno(int os_errno) {
  switch (os_errno) {
    case ECONNREFUSED:
    case ECONNRESET: return RefuseReason::connection_refused;
    case ETIMEDOUT: return RefuseReason::timeout;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETDOWN: return RefuseReason::unreachable;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL: return RefuseReason::exhausted;  // no free local port either
    default: return RefuseReason::target_error;
  }
}

}  // namespace nfr::proto
