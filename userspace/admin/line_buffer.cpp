// SPDX-License-Identifier: GPL-2.0-only
#include "admin/line_buffer.hpp"

namespace nfr::admin {

void LineBuffer::append(std::string_view bytes) {
  if (taken_ > 0) {
    bytes_.erase(0, taken_);
    scanned_ -= taken_;
    taken_ = 0;
  }
  bytes_ += bytes;
}

std::optional<std::string> LineBuffer::next() {
  if (oversized_) return std::nullopt;
  const std::size_t newline = bytes_.find('\n', scanned_);
  const std::size_t end = newline == std::string::npos ? bytes_.size() : newline;
  scanned_ = end;
  if (end - taken_ > line_max_) {
    oversized_ = true;
    return std::nullopt;
  }
  if (newline == std::string::npos) return std::nullopt;
  std::string line = bytes_.substr(taken_, newline - taken_);
  taken_ = scanned_ = newline + 1;
  return line;
}

}  // namespace nfr::admin
