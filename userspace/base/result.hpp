// SPDX-License-Identifier: GPL-2.0-only
// Result<T>: a value or an Error that must be looked at. Used by every room on every thread.
// Nothing of ours throws; a library that throws is met at one boundary and turned into an Error there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/assert.hpp"

namespace nfr {

/// Stable meaning of a failure; nfctl maps it to an exit code, the admin API prints its name.
enum class Code {
  kInvalid,      ///< the caller's input cannot be accepted as it is
  kNotFound,     ///< the thing named does not exist
  kExists,       ///< it exists already and belongs to somebody
  kDenied,       ///< not allowed for this peer, user or right
  kUnavailable,  ///< the other side is not there now; trying later may work
  kTimeout,      ///< no answer within the limit
  kExhausted,    ///< a limit is reached: descriptors, memory, table, disk
  kProtocol,     ///< the peer broke the protocol
  kSystem,       ///< the kernel refused; os_errno() says why
};

/// The lower-case name of a code, as shown in JSON ("not_found").
std::string_view code_name(Code code);

/// A failure: stable code, errno if a system call failed (else 0), and text that grows as it rises.
class [[nodiscard]] Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  /// A failed system call: "WHAT: strerror(os_errno)".
  static Error system(std::string_view what, int os_errno);

  /// Prepends where it happened: context("adding mapping 17") -> "adding mapping 17: ...".
  [[nodiscard]] Error context(std::string_view where) const;

  Code code() const { return code_; }
  int os_errno() const { return os_errno_; }
  const std::string& message() const { return message_; }

 private:
  Code code_;
  int os_errno_ = 0;
  std::string message_;
};

/// T or Error. Test with `if (!result)`, then `result.error()` or `*result`.
template <class T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): returns convert
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): returns convert
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  bool ok() const { return state_.index() == 0; }

  T& operator*() & { return checked(); }
  const T& operator*() const& { return const_cast<Result*>(this)->checked(); }
  T&& operator*() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &const_cast<Result*>(this)->checked(); }

  const Error& error() const {
    NFR_ASSERT(state_.index() == 1);
    return *std::get_if<1>(&state_);
  }

 private:
  T& checked() {
    NFR_ASSERT(state_.index() == 0);
    return *std::get_if<0>(&state_);
  }
  std::variant<T, Error> state_;
};

/// Success or Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor): returns convert

  explicit operator bool() const { return !error_.has_value(); }
  bool ok() const { return !error_.has_value(); }
  const Error& error() const {
    NFR_ASSERT(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace nfr
