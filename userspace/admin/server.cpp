// SPDX-License-Identifier: GPL-2.0-only
#include "admin/server.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "admin/connection.hpp"
#include "base/assert.hpp"
#include "nfr/admin/admin.h"
#include "nfr/admin/agent.h"

namespace nfr::admin {
namespace {

constexpr Millis kAcceptRetry{1000};

Result<PeerCredentials> credentials_of(const Fd& socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) {
    return Error::system("SO_PEERCRED", errno);
  }
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid, 0};
}

}  // namespace

std::vector<std::string_view> relay_commands() {
#define NFR_NAME(name, text) name,
  return {NFR_ADMIN_COMMANDS(NFR_NAME)};
#undef NFR_NAME
}

std::vector<std::string_view> agent_commands() {
#define NFR_NAME(name, text) name,
  return {NFR_AGENT_COMMANDS(NFR_NAME)};
#undef NFR_NAME
}

static_assert(NFR_ADMIN_CONNECTIONS_MAX == 64 && NFR_ADMIN_OUTSTANDING_MAX == 16 && NFR_ADMIN_IDLE_MS == 60'000,
              "the defaults of ServerOptions are the contract's");

Server::Server(io::Loop& loop, Fd listener, Handler& handler, ServerOptions options)
    : loop_(loop),
      listener_(std::move(listener)),
      handler_(handler),
      options_(std::move(options)),
      retry_(loop, [this] { accept_again(); }) {
  accepting_.handler = [this](io::Completion completion) { on_accept(completion); };
}

Server::~Server() { NFR_ASSERT(!accepting_.in_flight() && connections_.empty()); }

void Server::start() { accept_again(); }

void Server::accept_again() {
  if (!closing_ && !accepting_.in_flight()) loop_.accept(accepting_, listener_.get());
}

void Server::on_accept(const io::Completion& completion) {
  Fd socket(completion.result >= 0 ? completion.result : -1);
  if (closing_) return finish_close();
  if (completion.result < 0) {
    // Out of descriptors or memory: asking again at once would spin.
    spdlog::warn("admin socket: {}", Error::system("accept", -completion.result).message());
    retry_.arm(kAcceptRetry);
    return;
  }
  admit(std::move(socket));
  if (!completion.more) accept_again();
}

void Server::admit(Fd socket) {
  Result<PeerCredentials> peer = credentials_of(socket);
  if (!peer) return spdlog::warn("admin socket: {}", peer.error().message());
  if (connections_.size() >= options_.connections_max) {
    // Fits the empty send buffer of a new socket; the client reads it before the end of the stream.
    const std::string line = encode_answer(
        std::nullopt, Error(Code::kExhausted, "too many admin connections at once; end one, or try again"));
    (void)::send(socket.get(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return;
  }
  const std::uint64_t number = next_number_++;
  peer->connection = number;
  auto connection = std::make_shared<Connection>(*this, number, std::move(socket), *peer);
  connections_.emplace(number, connection);
  connection->start();
}

void Server::forget(std::uint64_t number) {
  connections_.erase(number);
  handler_.on_gone(number);
  // Not from inside a completion of the connection, nor of close(): the owner may destroy the server in `closed_`.
  if (closing_) {
    loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
      if (alive.lock()) finish_close();
    });
  }
}

void Server::close(std::function<void()> done) {
  NFR_ASSERT(!closing_);
  closing_ = true;
  closed_ = std::move(done);
  retry_.disarm();
  loop_.cancel(accepting_);
  auto ending = connections_;
  for (auto& [number, connection] : ending) connection->abort();
  loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.lock()) finish_close();
  });
}

void Server::finish_close() {
  if (accepting_.in_flight() || !connections_.empty() || !closed_) return;
  auto done = std::exchange(closed_, nullptr);
  listener_.reset();
  done();
}

}  // namespace nfr::admin
