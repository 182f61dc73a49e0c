// SPDX-License-Identifier: GPL-2.0-only
// A server on a real loop and socket, driven round by round on the test's own thread, so that nothing races; raw
// clients that can misbehave; and a handler that answers at once, later, or never.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "admin/server.hpp"
#include "admin/unix_socket.hpp"
#include "io/loop.hpp"
#include "nfr/admin/admin.h"

namespace nfr::admin {

using nlohmann::json;

/// A directory that goes away with its content.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "nfr-admin-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
    ::chmod(path_.c_str(), 0755);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// maps: echoes args. version: tells the peer's credentials. status: args.bytes of text. map: keeps the reply.
/// unmap: drops the reply. Everything else: an error.
class FakeHandler final : public Handler {
 public:
  void handle(const std::string& cmd, const json& args, const PeerCredentials& peer, Reply reply) override {
    ++calls;
    if (cmd == "maps") return reply(json{{"echo", args}});
    if (cmd == "version") return reply(json{{"pid", peer.pid}, {"uid", peer.uid}, {"gid", peer.gid}});
    if (cmd == "status") return reply(json{{"text", std::string(args.value("bytes", std::size_t{0}), 'x')}});
    if (cmd == "map") return kept.push_back(std::move(reply));
    if (cmd != "unmap") reply(Error(Code::kExists, "port 8888 belongs to client1"));
  }
  std::size_t calls = 0;
  std::vector<Reply> kept;
};

class RawClient {
 public:
  explicit RawClient(const std::string& path) {
    auto connected = connect_unix(path, Millis(5000));
    if (connected) socket_ = *std::move(connected);
  }
  bool connected() const { return socket_.valid(); }
  /// As much as the kernel takes now; returns how much.
  std::size_t send(std::string_view bytes) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }
  void end_sending() { ::shutdown(socket_.get(), SHUT_WR); }
  void leave() { socket_.reset(); }
  /// Takes what is there.
  void poll() {
    char chunk[65536];
    ssize_t got = 0;
    while ((got = ::recv(socket_.get(), chunk, sizeof chunk, MSG_DONTWAIT)) > 0) {
      received_.append(chunk, static_cast<std::size_t>(got));
    }
    if (got == 0 || errno == ECONNRESET || errno == EPIPE) ended_ = true;
  }
  bool ended() const { return ended_; }
  bool has_line() const { return received_.find('\n') != std::string::npos; }
  json take_line() { return json::parse(take_text(), nullptr, false); }
  std::string take_text() {
    const std::size_t end = received_.find('\n');
    std::string line = received_.substr(0, end);
    received_.erase(0, end + 1);
    return line;
  }
  const std::string& received() const { return received_; }

 private:
  Fd socket_;
  std::string received_;
  bool ended_ = false;
};

class ServerTest : public testing::Test {
 protected:
  void SetUp() override { loop = *io::Loop::create({.entries = 256, .buffer_count = 4, .buffer_bytes = 4096}); }

  void serve(ServerOptions options = {}) {
    auto listener = listen_unix(path, 0600);
    ASSERT_TRUE(listener) << listener.error().message();
    server = std::make_unique<Server>(*loop, *std::move(listener), handler, std::move(options));
    server->start();
  }

  void TearDown() override {
    if (server != nullptr) close_server();
    handler.kept.clear();
  }

  void close_server() {
    bool closed = false;
    server->close([&] { closed = true; });
    EXPECT_TRUE(drive([&] { return closed; }));
    server.reset();
  }

  /// Rounds of the loop until `done`; false after a minute.
  bool drive(const std::function<bool()>& done) {
    const Instant limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      loop->run_once(Millis(5));
    }
    return true;
  }

  /// The next line the client gets; null when the stream ends without one.
  json next(RawClient& client) {
    const bool fine = drive([&] {
      client.poll();
      return client.has_line() || client.ended();
    });
    EXPECT_TRUE(fine) << "no answer and no end";
    return client.has_line() ? client.take_line() : json();
  }

  json ask(RawClient& client, const std::string& line) {
    client.send(line + "\n");
    return next(client);
  }

  bool drained(RawClient& client) {
    return drive([&] {
      client.poll();
      return client.ended();
    });
  }

  static std::string request(std::uint64_t id, const std::string& cmd, const json& args = json::object()) {
    return json{{"v", 1}, {"id", id}, {"cmd", cmd}, {"args", args}}.dump();
  }

  ScratchDirectory directory;
  std::string path = directory / "ctl.sock";
  std::unique_ptr<io::Loop> loop;
  FakeHandler handler;
  std::unique_ptr<Server> server;
};

}  // namespace nfr::admin
