// SPDX-License-Identifier: GPL-2.0-only
// What nf-load's bulk load and its server say to each other. Both run on one machine: integers are as it has them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nfr::load {

/// The first byte of a connection, from the client.
constexpr char kDownload = 'd';  ///< the server sends until the client closes
constexpr char kUpload = 'u';    ///< the server reads and drops until the client closes
constexpr char kQuestion = '?';  ///< this byte and each one after it is answered by a Received

/// What the server has taken on all upload connections so far, and when it looked.
struct Received {
  std::uint64_t bytes;
  std::int64_t steady_ns;
};

/// Of one send() or recv().
constexpr std::size_t kBulkBytes = 128 * 1024;

}  // namespace nfr::load
