// SPDX-License-Identifier: GPL-2.0-only
// The data plane as control sees it: data threads behind core::DataPlane and core::Ports. Commands go to the thread
// that owns the visitor or flow; what threads report is posted to the control loop. All but the DataEvents half is
// called on the control thread.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "control/relay.hpp"
#include "datapath/data_thread.hpp"
#include "holder/listener_source.hpp"
#include "relayd/tunnel.hpp"

namespace nfr::relayd {

class Plane final : public core::DataPlane, public core::Ports, private datapath::DataEvents {
 public:
  Plane(io::Loop& control, holder::ListenerSource& listeners, Tunnel& tunnel)
      : control_(control), listeners_(listeners), tunnel_(tunnel) {}

  Status start_threads(unsigned count, datapath::DataOptions options, const io::LoopOptions& loop_options,
                       const core::Crypto& crypto);
  void set_relay(control::Relay* relay) { relay_ = relay; }
  io::Loop::Statistics statistics() const;  ///< of all data threads
  void stop();                              ///< all flows end by RST; threads joined
  /// Tells control which kept channels ended; to be called every tick.
  void sweep();
  std::size_t listener_count() const;  ///< listening sockets of the public ports

  // core::DataPlane
  void refuse(core::VisitorRef visitor) override { threads_.at(visitor.thread)->refuse(visitor); }
  void start(core::VisitorRef visitor, core::ChannelRef channel, core::FlowSpec spec) override;
  /// Of the channel being decided about: whoever does not take it resets it.
  void reject(core::ChannelRef channel) override { tunnel_.reject(channel); }
  void keep(core::ChannelRef channel) override { tunnel_.keep(channel); }
  void cut(core::FlowId flow) override;
  void set_visitors_max(std::size_t count) override { seats_->set_max(count); }

  // core::Ports
  void open(core::MappingId mapping, const core::PublicPorts& ports, std::function<void(Status)> done) override;
  void close(core::MappingId mapping) override;

 private:
  void visitor_arrived(core::VisitorRef visitor, core::MappingId mapping, const net::Endpoint& from,
                       const net::Endpoint& local) override;
  void visitor_gone(core::VisitorRef visitor) override;
  void flow_ready(core::FlowId flow, Micros dial) override;
  void flow_refused(core::FlowId flow, proto::RefuseReason reason) override;
  void flow_ended(core::FlowId flow, core::FlowEnd end) override;
  void channel_lost(core::FlowId flow) override;
  struct Opening;
  void open_one(const std::shared_ptr<Opening>& opening, const net::Endpoint& endpoint, unsigned count);
  void opened_one(const std::shared_ptr<Opening>& opening, const net::Endpoint& endpoint,
                  Result<std::vector<Fd>> sockets);
  void adopt(core::MappingId mapping, const net::Endpoint& endpoint, std::vector<Fd> sockets);
  bool leave_to_successor(const net::Endpoint& endpoint);

  io::Loop& control_;
  holder::ListenerSource& listeners_;
  Tunnel& tunnel_;
  control::Relay* relay_ = nullptr;
  std::shared_ptr<datapath::Seats> seats_ = std::make_shared<datapath::Seats>();
  std::vector<std::unique_ptr<datapath::DataThread>> threads_;
  std::unordered_map<core::FlowId, std::uint32_t> thread_of_;

  struct Listener {
    net::Endpoint endpoint;
    bool open = false;  ///< false: asked for, not answered yet
  };
  std::unordered_map<core::MappingId, std::vector<Listener>> listeners_of_;  ///< of what is to be open
};

}  // namespace nfr::relayd
