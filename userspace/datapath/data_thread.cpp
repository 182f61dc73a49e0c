// SPDX-License-Identifier: GPL-2.0-only
// DataThread: the thread around a DataCore. Nothing here runs on the data thread but the lambdas it posts.
#include "datapath/data_thread.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <future>
#include <system_error>

namespace nfr::datapath {

Result<std::unique_ptr<DataThread>> DataThread::create(const DataOptions& options, const io::LoopOptions& loop_options,
                                                       const core::Crypto& crypto, DataEvents& events) {
  std::unique_ptr<DataThread> self(new DataThread);
  std::promise<Status> ready;
  auto outcome = ready.get_future();
  const auto body = [&options, &loop_options, &crypto, &events, &ready, self = self.get()] {
    (void)::pthread_setname_np(::pthread_self(), fmt::format("nfr-data-{}", options.thread).c_str());
    // A ring belongs to the thread that makes it. The references to the caller's stack end with set_value.
    auto loop = io::Loop::create(loop_options);
    if (!loop) return ready.set_value(loop.error());
    self->loop_ = std::move(*loop);
    self->core_ = std::make_unique<DataCore>(*self->loop_, crypto, options, events);
    ready.set_value({});
    self->loop_->run();
    self->core_.reset();
  };
  try {
    self->thread_ = std::thread(body);
  } catch (const std::system_error& failed) {
    return Error::system("starting a data thread (raise TasksMax, or lower key workers)", failed.code().value());
  }
  Status status = outcome.get();
  if (!status) {
    self->thread_.join();
    return status.error().context("starting a data thread");
  }
  return self;
}

DataThread::~DataThread() { stop(); }

void DataThread::post(std::function<void(DataCore&)> command) {
  if (!thread_.joinable()) return;
  loop_->post([this, command = std::move(command)] { command(*core_); });
}

void DataThread::adopt(core::MappingId mapping, Fd listener) {
  auto shared = std::make_shared<Fd>(std::move(listener));  // std::function wants to be copyable
  post([mapping, shared](DataCore& core) { core.adopt(mapping, std::move(*shared)); });
}

void DataThread::drop(core::MappingId mapping) {
  post([mapping](DataCore& core) { core.drop(mapping); });
}

void DataThread::refuse(core::VisitorRef visitor) {
  post([visitor](DataCore& core) { core.refuse(visitor); });
}

void DataThread::start(core::VisitorRef visitor, transport::Carrier channel, core::FlowSpec spec) {
  auto shared = std::make_shared<transport::Carrier>(std::move(channel));
  post([visitor, shared, spec = std::move(spec)](DataCore& core) { core.start(visitor, std::move(*shared), spec); });
}

void DataThread::cut(core::FlowId flow) {
  post([flow](DataCore& core) { core.cut(flow); });
}

void DataThread::stop() {
  if (!thread_.joinable()) return;
  post([loop = loop_.get()](DataCore& core) { core.stop([loop] { loop->stop(); }); });
  thread_.join();
}

}  // namespace nfr::datapath
