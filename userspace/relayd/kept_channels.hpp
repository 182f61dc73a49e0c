// SPDX-License-Identifier: GPL-2.0-only
// KeptChannels: channels that stand ready for a visitor. Nothing is outstanding on them, so that each can go to another
// thread at once; a look at all of them, one poll(2), finds those that ended. Control thread; part of Tunnel.
#pragma once

#include <map>
#include <vector>

#include "core/seams.hpp"
#include "transport/tls_endpoint.hpp"

namespace nfr::relayd {

class KeptChannels {
 public:
  void keep(core::ChannelRef channel, transport::Carrier carrier);
  bool has(core::ChannelRef channel) const { return kept_.contains(channel); }
  /// It may have ended a moment ago; START finds out.
  transport::Carrier take(core::ChannelRef channel);
  void reset(core::ChannelRef channel) { kept_.erase(channel); }  ///< RST; unknown ones are nobody's
  /// Resets those that ended, or spoke before they were asked, and names them.
  std::vector<core::ChannelRef> sweep();
  std::size_t count() const { return kept_.size(); }

 private:
  std::map<core::ChannelRef, transport::Carrier> kept_;
};

}  // namespace nfr::relayd
