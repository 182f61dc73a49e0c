// SPDX-License-Identifier: GPL-2.0-only
// The relay's two key files (relay.key, relay.next.key in STATE) and the TLS context of the tunnel port made from the
// current one. Control thread.
#pragma once

#include <memory>
#include <string>

#include "core/seams.hpp"
#include "tls/tls.hpp"

namespace nfr::relayd {

class Keys final : public core::RelayKeys {
 public:
  /// Makes the files where they are missing. `psk` answers channel handshakes on this thread.
  static Result<std::unique_ptr<Keys>> open(const std::string& state_dir, tls::PskLookup psk);

  std::array<core::Pin, 2> pins() const override { return {current_->pin(), next_->pin()}; }
  /// A crash between the two renames leaves the old pair or a current key that equals the next one; both log in.
  Status rotate() override;
  std::shared_ptr<const tls::Context> context() const { return context_; }

 private:
  using Identity = std::shared_ptr<const tls::Identity>;
  Keys(std::string state_dir, tls::PskLookup psk) : state_dir_(std::move(state_dir)), psk_(std::move(psk)) {}

  std::string state_dir_;
  tls::PskLookup psk_;
  Identity current_;
  Identity next_;
  std::shared_ptr<const tls::Context> context_;
};

}  // namespace nfr::relayd
