// SPDX-License-Identifier: GPL-2.0-only
#include "datapath/proxy_tunnel.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "base/text.hpp"

namespace nfr::datapath {
namespace {

bool again(int result) { return result == -EINTR || result == -EAGAIN; }

}  // namespace

ProxyTunnel::ProxyTunnel(io::Loop& loop, int socket, std::string request, Done done)
    : loop_(loop), socket_(socket), request_(std::move(request)), done_(std::move(done)) {}

void ProxyTunnel::start() { send_rest(); }

void ProxyTunnel::cancel() {
  cancelled_ = true;
  loop_.cancel(operation_);
}

void ProxyTunnel::send_rest() {
  operation_.handler = [this](const io::Completion& completion) { on_sent(completion); };
  loop_.send(operation_, socket_, as_bytes(request_).subspan(sent_));
}

void ProxyTunnel::on_sent(const io::Completion& completion) {
  if (cancelled_) return end(Error(Code::kUnavailable, "cancelled"));
  if (completion.result < 0 && !again(completion.result)) return end(Error::system("sending", -completion.result));
  if (completion.result > 0) sent_ += static_cast<std::size_t>(completion.result);
  if (sent_ < request_.size()) return send_rest();
  receive();
}

void ProxyTunnel::receive() {
  operation_.handler = [this](const io::Completion& completion) { on_received(completion); };
  loop_.receive_into(operation_, socket_, chunk_);
}

void ProxyTunnel::on_received(const io::Completion& completion) {
  if (cancelled_) return end(Error(Code::kUnavailable, "cancelled"));
  if (completion.result == 0) return end(Error(Code::kUnavailable, "closed the connection without an answer"));
  if (completion.result < 0 && !again(completion.result)) return end(Error::system("answer", -completion.result));
  if (completion.result > 0) received_ += as_text(std::span(chunk_).first(static_cast<std::size_t>(completion.result)));
  const auto answer = proto::parse_connect_answer(received_);
  if (!answer) return end(answer.error());
  if (!*answer) return receive();
  end(judge(**answer));
}

Status ProxyTunnel::judge(const proto::ConnectAnswer& answer) const {
  if (!answer.accepted()) {
    const char* hint = answer.status == 407 ? " (agent.toml: proxy = \"http://USER:PASSWORD@HOST:PORT\")" : "";
    return Error(Code::kDenied, fmt::format("answered {}: {}{}", answer.status, escape(answer.reason, 120), hint));
  }
  // Whoever is behind the tunnel waits for us to speak first: what came early is not theirs.
  if (received_.size() > answer.bytes) return Error(Code::kProtocol, "sent more than its answer");
  return {};
}

void ProxyTunnel::end(Status outcome) {
  const Done done = std::move(done_);
  done(std::move(outcome));  // may destroy *this
}

}  // namespace nfr::datapath
