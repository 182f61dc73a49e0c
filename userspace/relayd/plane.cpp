// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/plane.hpp"

#include "base/log.hpp"

namespace nfr::relayd {

Status Plane::start_threads(unsigned count, datapath::DataOptions options, const io::LoopOptions& loop_options,
                            const core::Crypto& crypto) {
  for (unsigned number = 0; number < count; ++number) {
    options.thread = number;
    options.seats = seats_;
    auto thread = datapath::DataThread::create(options, loop_options, crypto, *this);
    if (!thread) return thread.error().context("starting a data thread");
    threads_.push_back(std::move(*thread));
  }
  return {};
}

void Plane::stop() {
  for (auto& thread : threads_) thread->stop();
}

io::Loop::Statistics Plane::statistics() const {
  io::Loop::Statistics all;
  for (const auto& thread : threads_) {
    const io::Loop::Statistics one = thread->statistics();
    all.completions += one.completions;
    all.enters += one.enters;
    all.outstanding += one.outstanding;
  }
  return all;
}

void Plane::start(core::VisitorRef visitor, core::ChannelRef channel, core::FlowSpec spec) {
  thread_of_[spec.id] = visitor.thread;
  threads_.at(visitor.thread)->start(visitor, tunnel_.take(channel), std::move(spec));
}

void Plane::cut(core::FlowId flow) {
  const auto thread = thread_of_.find(flow);
  if (thread != thread_of_.end()) threads_.at(thread->second)->cut(flow);
}

void Plane::sweep() {
  for (const core::ChannelRef channel : tunnel_.sweep()) relay_->flows().on_channel_gone(channel);
}

std::size_t Plane::listener_count() const {
  std::size_t count = 0;
  for (const auto& [mapping, listeners] : listeners_of_) {
    count += listeners.size() == 1 ? threads_.size() : listeners.size();
  }
  return count;
}

// One mapping's ports being opened.
struct Plane::Opening {
  core::MappingId mapping;
  std::size_t left = 0;
  std::optional<Error> failure;
  std::function<void(Status)> done;
};

void Plane::open(core::MappingId mapping, const core::PublicPorts& ports, std::function<void(Status)> done) {
  auto& listeners = listeners_of_[mapping];
  listeners.clear();
  for (unsigned i = 0; i < ports.count; ++i) listeners.push_back({ports.nth(static_cast<std::uint16_t>(i))});
  auto opening = std::make_shared<Opening>(Opening{mapping, ports.count, std::nullopt, std::move(done)});
  // A range spreads over the data threads by itself; a single port needs a socket on each.
  const unsigned count = ports.count == 1 ? static_cast<unsigned>(threads_.size()) : 1;
  for (unsigned i = 0; i < ports.count; ++i) open_one(opening, ports.nth(static_cast<std::uint16_t>(i)), count);
}

void Plane::open_one(const std::shared_ptr<Opening>& opening, const net::Endpoint& endpoint, unsigned count) {
  listeners_.open(endpoint, holder::ListenerKind::kPublic, count,
                  [this, opening, endpoint](Result<std::vector<Fd>> sockets) {
                    opened_one(opening, endpoint, std::move(sockets));
                  });
}

void Plane::opened_one(const std::shared_ptr<Opening>& opening, const net::Endpoint& endpoint,
                       Result<std::vector<Fd>> sockets) {
  if (sockets) {
    adopt(opening->mapping, endpoint, std::move(*sockets));
  } else if (!opening->failure) {
    opening->failure = sockets.error();
  }
  if (--opening->left > 0) return;
  if (!opening->failure) return opening->done({});
  close(opening->mapping);
  opening->done(*opening->failure);
}

void Plane::adopt(core::MappingId mapping, const net::Endpoint& endpoint, std::vector<Fd> sockets) {
  const auto found = listeners_of_.find(mapping);
  if (found == listeners_of_.end()) {  // unmapped while it was being opened; its successor may have the same port
    if (!leave_to_successor(endpoint)) listeners_.close(endpoint);
    return;
  }
  for (Listener& listener : found->second) {
    if (listener.endpoint == endpoint) listener.open = true;
  }
  const std::size_t first = sockets.size() == 1 ? endpoint.port.value : 0;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    threads_[(first + i) % threads_.size()]->adopt(mapping, std::move(sockets[i]));
  }
}

/// From now on the port is the successor's to give back, whatever the answer to its own request.
bool Plane::leave_to_successor(const net::Endpoint& endpoint) {
  for (auto& [mapping, listeners] : listeners_of_) {
    for (Listener& listener : listeners) {
      if (listener.endpoint == endpoint) return listener.open = true;
    }
  }
  return false;
}

/// What was asked for and not answered is closed by its answer: to close it now could hit whoever else has the port.
void Plane::close(core::MappingId mapping) {
  const auto found = listeners_of_.find(mapping);
  if (found == listeners_of_.end()) return;
  for (auto& thread : threads_) thread->drop(mapping);
  for (const Listener& listener : found->second) {
    if (listener.open) listeners_.close(listener.endpoint);
  }
  listeners_of_.erase(found);
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

void Plane::channel_lost(core::FlowId flow) {
  control_.post([this, flow] {
    thread_of_.erase(flow);
    relay_->flows().on_channel_lost(flow);
  });
}

void Plane::flow_ended(core::FlowId flow, core::FlowEnd end) {
  control_.post([this, flow, end] {
    thread_of_.erase(flow);
    relay_->flows().on_ended(flow, end);
  });
}

}  // namespace nfr::relayd
