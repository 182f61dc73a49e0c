// SPDX-License-Identifier: GPL-2.0-only
// DataCore: what one data thread of the relay does: public listeners, visitors that wait for a channel, flows. A
// visitor holds a seat from its accept to its end; without a seat it waits in the listen queue.
// Lives on one loop's thread (DataThread owns and posts to it); reports by DataEvents. Decides no policy: a visitor
// waits until it is told to refuse or start it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/fd.hpp"
#include "core/seams.hpp"
#include "datapath/relay_opening.hpp"
#include "datapath/seats.hpp"
#include "io/loop.hpp"
#include "transport/tls_endpoint.hpp"

namespace nfr::datapath {

/// What the control side hears. Called on data threads: implementations are thread-safe and return at once.
class DataEvents {
 public:
  virtual ~DataEvents() = default;
  virtual void visitor_arrived(core::VisitorRef visitor, core::MappingId mapping, const net::Endpoint& from,
                               const net::Endpoint& local) = 0;
  /// It reset, or waited longer than waiting_timeout. Not called after refuse() or start().
  virtual void visitor_gone(core::VisitorRef visitor) = 0;
  virtual void flow_ready(core::FlowId flow, Micros dial) = 0;
  virtual void flow_refused(core::FlowId flow, proto::RefuseReason reason) = 0;
  virtual void flow_ended(core::FlowId flow, core::FlowEnd end) = 0;
  /// The channel stood ready and was broken: the visitor waits again.
  virtual void channel_lost(core::FlowId flow) = 0;
};

struct DataOptions {
  std::uint32_t thread = 0;        ///< number of this data thread, part of every VisitorRef
  std::size_t waiting_max = 4096;  ///< visitors that wait for a channel; more are reset at once
  Millis waiting_timeout{15'000};
  Millis answer_deadline{10'000};                            ///< START to READY or REFUSED
  Millis accept_pause{100};                                  ///< after accept failed (descriptors used up)
  std::shared_ptr<Seats> seats = std::make_shared<Seats>();  ///< for visitors, of all threads
};

class DataCore final : private RelayFlowEvents {
 public:
  DataCore(io::Loop& loop, const core::Crypto& crypto, const DataOptions& options, DataEvents& events);
  ~DataCore() override;

  /// Accepts on `listener` (listening, owned from now on) for the mapping, beside others it may have.
  void adopt(core::MappingId mapping, Fd listener);
  /// Closes the mapping's listeners; visitors and flows go on.
  void drop(core::MappingId mapping);
  void refuse(core::VisitorRef visitor);
  /// flow_ready, flow_refused, channel_lost, or flow_ended(kVisitorReset) when the visitor is gone already.
  void start(core::VisitorRef visitor, transport::Carrier channel, core::FlowSpec spec);
  void cut(core::FlowId flow);
  /// Resets everything; `done` is called once when nothing is left (never from inside).
  void stop(std::function<void()> done);

  std::size_t waiting_count() const { return waiting_.size(); }
  std::size_t flow_count() const { return flows_.size(); }

 private:
  struct Flow {
    core::VisitorRef visitor;
    Seat seat;
    std::unique_ptr<RelayOpening> opening;
  };
  class Listening;
  class Waiting;
  friend class Listening;
  friend class Waiting;

  void on_accepted(Listening& listening, Fd socket, const net::Endpoint& from, Seat seat);
  void on_no_seat(Listening& listening);
  void forget_seatless(Listening& listening);
  void look_for_seats();
  void warn_short(int error);
  void on_listening_over(Listening& listening);
  void on_waiting_gone(Waiting& waiting);
  void on_waiting_closed(Waiting& waiting);
  void on_flow_ready(core::FlowId flow, Micros dial) override;
  void tell_ready();
  void on_flow_refused(core::FlowId flow, proto::RefuseReason reason) override;
  void on_flow_ended(core::FlowId flow, core::FlowEnd end) override;
  void on_channel_lost(core::FlowId flow, std::unique_ptr<transport::RawEndpoint> visitor) override;
  void on_channel_over(RelayOpening& opening) override;
  void forget(core::FlowId flow);
  void check_stopped();

  io::Loop& loop_;
  const core::Crypto& crypto_;
  const DataOptions options_;
  DataEvents& events_;
  std::unordered_map<Listening*, std::unique_ptr<Listening>> listeners_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Waiting>> waiting_;
  std::unordered_map<core::FlowId, Flow> flows_;
  std::unordered_map<RelayOpening*, std::unique_ptr<RelayOpening>> lost_;  ///< whose channels are being closed
  std::deque<Listening*> seatless_;  ///< with visitors in their queues and no seat for them
  io::Timer seat_timer_;
  std::vector<std::pair<core::FlowId, Micros>> ready_;  ///< not told yet
  io::Timer ready_timer_;
  Instant next_warning_{};
  std::uint64_t last_visitor_ = 0;
  std::function<void()> stopped_;
  bool stopping_ = false;
  io::Timer soon_;
};

}  // namespace nfr::datapath
