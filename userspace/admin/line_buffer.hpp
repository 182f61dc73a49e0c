// SPDX-License-Identifier: GPL-2.0-only
// LineBuffer: bytes as they arrive -> whole lines, with a limit. Used by the server a connection and by the client,
// each on its own thread. Does no I/O and does not look inside a line.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace nfr::admin {

class LineBuffer {
 public:
  /// `line_max` counts a line without its newline.
  explicit LineBuffer(std::size_t line_max) : line_max_(line_max) {}

  void append(std::string_view bytes);
  /// The next whole line without its newline; nothing while it is incomplete, or when oversized() became true.
  std::optional<std::string> next();
  /// The line at the front is longer than the limit; there is no way to find the next one that is safe.
  bool oversized() const { return oversized_; }
  /// Bytes that wait, complete lines included.
  std::size_t size() const { return bytes_.size() - taken_; }

 private:
  std::size_t line_max_;
  std::string bytes_;
  std::size_t taken_ = 0;    ///< bytes before this were handed out
  std::size_t scanned_ = 0;  ///< no newline in [taken_, scanned_): a dribbled line is searched once, not once a byte
  bool oversized_ = false;
};

}  // namespace nfr::admin
