// SPDX-License-Identifier: GPL-2.0-only
// DataThread: a thread with a loop and a DataCore. The relay's control thread owns it and commands it; commands are
// posted and return at once, answers come by DataEvents on the data thread.
#pragma once

#include <memory>
#include <thread>

#include "datapath/data_core.hpp"

namespace nfr::datapath {

class DataThread {
 public:
  /// Starts the thread; an error of io::Loop::create is returned. `crypto` and `events` must outlive it.
  static Result<std::unique_ptr<DataThread>> create(const DataOptions& options, const io::LoopOptions& loop_options,
                                                    const core::Crypto& crypto, DataEvents& events);
  ~DataThread();  ///< stop()

  // As DataCore; all called on the owner's thread. After stop() they have no effect.
  void adopt(core::MappingId mapping, Fd listener);
  void drop(core::MappingId mapping);
  void refuse(core::VisitorRef visitor);
  void start(core::VisitorRef visitor, transport::Carrier channel, core::FlowSpec spec);
  void cut(core::FlowId flow);

  /// Of its loop; from any thread.
  io::Loop::Statistics statistics() const { return loop_->statistics(); }

  /// Resets all flows and visitors, waits until they are closed, and joins the thread. Idempotent.
  void stop();

 private:
  DataThread() = default;
  void post(std::function<void(DataCore&)> command);

  std::unique_ptr<io::Loop> loop_;  // made and run on thread_; destroyed after it was joined
  std::unique_ptr<DataCore> core_;  // touched on thread_ only
  std::thread thread_;
};

}  // namespace nfr::datapath
