// SPDX-License-Identifier: GPL-2.0-only
#include "base/result.hpp"

#include <cstring>

namespace nfr {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kInvalid: return "invalid";
    case Code::kNotFound: return "not_found";
    case Code::kExists: return "exists";
    case Code::kDenied: return "denied";
    case Code::kUnavailable: return "unavailable";
    case Code::kTimeout: return "timeout";
    case Code::kExhausted: return "exhausted";
    case Code::kProtocol: return "protocol";
    case Code::kSystem: return "system";
  }
  return "unknown";
}

Error Error::system(std::string_view what, int os_errno) {
  char buffer[128];
  // GNU strerror_r returns the text, which may or may not live in the buffer.
  const char* text = ::strerror_r(os_errno, buffer, sizeof buffer);
  Error error(Code::kSystem, std::string(what) + ": " + text);
  error.os_errno_ = os_errno;
  return error;
}

Error Error::context(std::string_view where) const {
  Error outer = *this;
  outer.message_ = std::string(where) + ": " + message_;
  return outer;
}

}  // namespace nfr
