// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/plane.hpp"

#include "base/log.hpp"

namespace nfr::relayd {

Status Plane::start_threads(unsigned count, datapath::DataOptions options, const core::Crypto& crypto) {
  for (unsigned number = 0; number < count; ++number) {
    options.thread = number;
    auto thread = datapath::DataThread::create(options, io::LoopOptions{}, crypto, *this);
    if (!thread) return thread.error().context("starting a data thread");
    threads_.push_back(std::move(*thread));
  }
  return {};
}

void Plane::stop() {
  for (auto& thread : threads_) thread->stop();
}

void Plane::start(core::VisitorRef visitor, core::ChannelRef channel, core::FlowSpec spec) {
  thread_of_[spec.id] = visitor.thread;
  threads_.at(visitor.thread)->start(visitor, tunnel_.take(channel), std::move(spec));
}

void Plane::cut(core::FlowId flow) {
  const auto thread = thread_of_.find(flow);
  if (thread != thread_of_.end()) threads_.at(thread->second)->cut(flow);
}

void Plane::open(core::MappingId mapping, const net::Endpoint& endpoint, std::function<void(Status)> done) {
  endpoints_[mapping] = endpoint;
  listeners_.open(endpoint, holder::ListenerKind::kPublic, static_cast<unsigned>(threads_.size()),
                  [this, mapping, endpoint, done = std::move(done)](Result<std::vector<Fd>> opened) {
                    if (!opened) {
                      endpoints_.erase(mapping);
                      return done(opened.error());
                    }
                    adopt(mapping, endpoint, std::move(*opened));
                    done({});
                  });
}

void Plane::adopt(core::MappingId mapping, const net::Endpoint& endpoint, std::vector<Fd> sockets) {
  if (!endpoints_.contains(mapping)) return listeners_.close(endpoint);  // unmapped while it was being opened
  for (std::size_t i = 0; i < sockets.size(); ++i) threads_[i % threads_.size()]->adopt(mapping, std::move(sockets[i]));
}

void Plane::close(core::MappingId mapping) {
  const auto endpoint = endpoints_.find(mapping);
  if (endpoint == endpoints_.end()) return;
  for (auto& thread : threads_) thread->drop(mapping);
  listeners_.close(endpoint->second);
  endpoints_.erase(endpoint);
}

// From here on: on data threads.

void Plane::visitor_arrived(core::VisitorRef visitor, core::MappingId mapping, const net::Endpoint& from,
                            const net::Endpoint& local) {
  control_.post([this, visitor, mapping, from, local] { relay_->flows().on_visitor(visitor, mapping, from, local); });
}

void Plane::visitor_gone(core::VisitorRef visitor) {
  control_.post([this, visitor] { relay_->flows().on_visitor_gone(visitor); });
}

void Plane::flow_ready(core::FlowId flow, Micros) {
  control_.post([this, flow] { relay_->flows().on_ready(flow); });
}

void Plane::flow_refused(core::FlowId flow, proto::RefuseReason reason) {
  control_.post([this, flow, reason] {
    thread_of_.erase(flow);
    relay_->flows().on_refused(flow, reason);
  });
}

void Plane::flow_ended(core::FlowId flow, core::FlowEnd end) {
  control_.post([this, flow, end] {
    thread_of_.erase(flow);
    relay_->flows().on_ended(flow, end);
  });
}

}  // namespace nfr::relayd
