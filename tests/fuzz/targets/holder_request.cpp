// SPDX-License-Identifier: GPL-2.0-only
// A packet from the relay process to the holder: a process that was taken over may send anything.
#include <cstring>

#include "fuzz/target.hpp"
#include "holder/message.hpp"

namespace {

nfr::holder::Request encode(const nfr::holder::CheckedRequest& checked) {
  using namespace nfr::holder;
  switch (checked.type) {
    case RequestType::kOpenListeners:
      return make_open(checked.request_id, checked.endpoint, checked.kind, checked.count);
    case RequestType::kCloseListeners: return make_close(checked.request_id, checked.endpoint);
    case RequestType::kRetainDone:
    case RequestType::kReady: return make_request(checked.type, checked.request_id);
  }
  std::abort();
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  const auto checked = holder::check_request(as_bytes(input));
  const std::uint64_t id = holder::request_id_of(as_bytes(input));
  if (!checked) return NFR_HOLDS(printable(checked.error().message()));
  NFR_HOLDS(id == checked->request_id && id != 0);
  const holder::Request again = encode(*checked);
  // An IPv4-mapped IPv6 address is the one value with two spellings.
  if (input[16] == 6 && again.family == 4) return;
  NFR_HOLDS(std::memcmp(&again, input.data(), sizeof again) == 0);
}
