// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/kept_channels.hpp"

#include <poll.h>

namespace nfr::relayd {

void KeptChannels::keep(core::ChannelRef channel, transport::Carrier carrier) {
  kept_.emplace(channel, std::move(carrier));
}

transport::Carrier KeptChannels::take(core::ChannelRef channel) { return std::move(kept_.extract(channel).mapped()); }

std::vector<core::ChannelRef> KeptChannels::sweep() {
  std::vector<core::ChannelRef> ended;
  if (kept_.empty()) return ended;
  std::vector<core::ChannelRef> channels;
  std::vector<pollfd> sockets;
  for (const auto& [channel, carrier] : kept_) {
    channels.push_back(channel);
    sockets.push_back({carrier.socket.get(), POLLIN | POLLRDHUP, 0});
  }
  if (::poll(sockets.data(), sockets.size(), 0) <= 0) return ended;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    if (sockets[i].revents != 0) ended.push_back(channels[i]);
  }
  for (const core::ChannelRef channel : ended) reset(channel);
  return ended;
}

}  // namespace nfr::relayd
