// SPDX-License-Identifier: GPL-2.0-only
#include "admin/connection.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "nfr/admin/admin.h"

namespace nfr::admin {
namespace {

using nlohmann::json;

// One request that the handler has. The last copy of its Reply owns it, so a reply that is dropped is noticed.
class Pending {
 public:
  Pending(std::weak_ptr<Connection> connection, std::uint64_t id) : connection_(std::move(connection)), id_(id) {}
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending() {
    if (!answered_) answer(Error(Code::kUnavailable, "the daemon gave up on this request without an answer"));
  }
  void answer(const Result<json>& outcome) {
    NFR_ASSERT(!answered_);
    answered_ = true;
    if (const auto connection = connection_.lock()) connection->answer(id_, outcome);
  }

 private:
  std::weak_ptr<Connection> connection_;
  std::uint64_t id_;
  bool answered_ = false;
};

}  // namespace

Connection::Connection(Server& server, std::uint64_t number, Fd socket, PeerCredentials peer)
    : server_(server),
      number_(number),
      socket_(std::move(socket)),
      peer_(peer),
      idle_(server.loop_, [this] { on_idle(); }),
      lines_(NFR_ADMIN_REQUEST_MAX) {
  writing_.handler = [this](io::Completion completion) { on_sent(completion); };
}

void Connection::start() {
  restart_idle();
  advance();
}

void Connection::abort() {
  if (aborted_) return;
  aborted_ = true;
  idle_.disarm();
  server_.loop_.cancel(reading_);
  server_.loop_.cancel(writing_);
  leave_if_done();
}

void Connection::answer(std::optional<std::uint64_t> id, const Result<json>& outcome) {
  NFR_ASSERT(at_work_ > 0);
  --at_work_;
  if (aborted_) return;
  std::string line = encode_answer(id, outcome);
  if (line.size() > NFR_ADMIN_ANSWER_MAX) {
    line = encode_answer(
        id, Error(Code::kExhausted, fmt::format("the answer has more than {} bytes", NFR_ADMIN_ANSWER_MAX)));
  }
  answers_.push_back(std::move(line));
  restart_idle();
  advance();
}

// Whatever can go on goes on. A handler that replies from inside handle() gets here again through answer(): the
// outer call finishes the work, so the stack stays flat however many requests wait.
void Connection::advance() {
  if (advancing_ || aborted_) return;
  const auto self = shared_from_this();
  advancing_ = true;
  take_requests();
  write_more();
  read_more();
  advancing_ = false;
  leave_if_done();
}

void Connection::take_requests() {
  while (!aborted_ && outstanding() < server_.options_.outstanding_max) {
    const auto line = lines_.next();
    if (!line) break;
    restart_idle();
    take_request(*line);
  }
  if (lines_.oversized() && input_ == Input::kOpen) {
    refuse_rest(fmt::format("a request line may have {} bytes; this one is longer", NFR_ADMIN_REQUEST_MAX));
  }
}

void Connection::take_request(const std::string& line) {
  ++at_work_;
  ParsedRequest parsed = parse_request(line);
  if (!parsed.request) return answer(parsed.id, parsed.request.error());
  const auto& known = server_.options_.commands;
  if (std::find(known.begin(), known.end(), parsed.request->cmd) == known.end()) {
    return answer(parsed.id,
                  Error(Code::kNotFound, fmt::format("unknown command '{}'", escape(parsed.request->cmd, 64))));
  }
  dispatch(*std::move(parsed.request));
}

void Connection::dispatch(Request request) {
  auto pending = std::make_shared<Pending>(weak_from_this(), request.id);
  Reply reply = [pending = std::move(pending)](Result<json> outcome) { pending->answer(outcome); };
  server_.handler_.handle(request.cmd, request.args, peer_, std::move(reply));
}

void Connection::end_input() {
  // Every whole line was taken before this receive was asked for: what is left is the beginning of one.
  if (lines_.size() > 0) {
    return refuse_rest("the connection ended inside a request: a newline ends one");
  }
  input_ = Input::kEnded;
}

// Answers once more, without an id, and reads nothing further.
void Connection::refuse_rest(std::string why) {
  input_ = Input::kEnded;
  ++at_work_;
  answer(std::nullopt, Error(Code::kInvalid, std::move(why)));
}

void Connection::read_more() {
  if (aborted_ || reading_.in_flight()) return;
  if (input_ == Input::kEnded) return watch_for_hangup();
  if (outstanding() >= server_.options_.outstanding_max) return;
  reading_.handler = [this](io::Completion completion) { on_received(completion); };
  server_.loop_.receive_into(reading_, socket_.get(), std::as_writable_bytes(std::span(chunk_)));
}

void Connection::on_received(const io::Completion& completion) {
  const auto self = shared_from_this();
  if (aborted_) return leave_if_done();
  const int result = completion.result;
  if (result > 0) lines_.append({chunk_.data(), static_cast<std::size_t>(result)});
  if (result < 0 && result != -EINTR && result != -EAGAIN) return abort();
  if (result == 0) end_input();
  advance();
}

void Connection::write_more() {
  if (aborted_ || writing_.in_flight() || answers_.empty()) return;
  server_.loop_.send(writing_, socket_.get(), as_bytes(answers_.front()).subspan(sent_));
}

void Connection::on_sent(const io::Completion& completion) {
  const auto self = shared_from_this();
  if (aborted_) return leave_if_done();
  const int result = completion.result;
  if (result < 0 && result != -EINTR && result != -EAGAIN) return abort();
  if (result > 0) sent_ += static_cast<std::size_t>(result);
  if (sent_ == answers_.front().size()) {
    answers_.pop_front();
    sent_ = 0;
    restart_idle();
  }
  advance();
}

// After FIN the client may still wait for answers (`printf ... | nc -U`); a hang-up says that it does not. Watched
// and not polled once: a one-shot poll is over at once, the FIN being there already.
void Connection::watch_for_hangup() {
  if (outstanding() == 0) return;
  reading_.handler = [this](const io::Completion& completion) { on_watched(completion); };
  server_.loop_.watch(reading_, socket_.get());
}

void Connection::on_watched(const io::Completion& completion) {
  const auto self = shared_from_this();
  if (aborted_) return leave_if_done();
  if (completion.result < 0 || (completion.result & (POLLHUP | POLLERR)) != 0) return abort();
  if (!completion.more) advance();
}

void Connection::restart_idle() { idle_.arm(server_.options_.idle_timeout_ms); }

void Connection::on_idle() {
  const auto self = shared_from_this();
  // A handler may take its time; a client that does not take its answers may not.
  if (at_work_ > 0 && answers_.empty()) return restart_idle();
  abort();
}

void Connection::leave_if_done() {
  const auto self = shared_from_this();
  if (!aborted_ && input_ == Input::kEnded && outstanding() == 0) return abort();
  if (!aborted_ || reading_.in_flight() || writing_.in_flight() || advancing_) return;
  server_.forget(number_);
}

}  // namespace nfr::admin
