// SPDX-License-Identifier: GPL-2.0-only
// The blocking client: what people read when the daemon is not there, and that no server makes it hang or fall over.
#include "admin/client.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <thread>

#include "base/text.hpp"
#include "unit/admin/fixture.hpp"

namespace nfr::admin {
namespace {

constexpr Millis kLong{10'000};

// The server's loop on a thread of its own, as in the daemon.
class ClientTest : public ServerTest {
 protected:
  void SetUp() override {}
  void TearDown() override {}

  // One loop, one owner thread: made, run and ended there.
  void with_server(const std::function<void()>& test) {
    std::atomic<bool> ready{false};
    std::atomic<io::Loop*> running{nullptr};
    std::thread thread([&] {
      ServerTest::SetUp();
      serve();
      running = loop.get();
      ready = true;
      ready.notify_one();
      loop->run();
      ServerTest::TearDown();
      loop.reset();
    });
    ready.wait(false);
    test();
    running.load()->stop();
    thread.join();
  }
};

// Accepts one connection, reads a line, sends `answer` and closes.
class OneAnswer {
 public:
  OneAnswer(const std::string& path, std::string answer)
      : listener_(*listen_unix(path, 0600)), thread_([this, answer = std::move(answer)] { serve(answer); }) {}
  ~OneAnswer() { thread_.join(); }

 private:
  void serve(const std::string& answer) {
    ::fcntl(listener_.get(), F_SETFL, 0);
    const Fd peer(::accept(listener_.get(), nullptr, nullptr));
    char byte = 0;
    while (::recv(peer.get(), &byte, 1, 0) == 1 && byte != '\n') continue;
    (void)::send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  }
  Fd listener_;
  std::thread thread_;
};

Result<Answer> ask_once(const std::string& path, Millis timeout = kLong) {
  auto client = Client::connect(path, kLong);
  if (!client) return client.error();
  return client->call("maps", json::object(), timeout);
}

TEST_F(ClientTest, AsksAndGetsAnswers) {
  with_server([&] {
    auto client = Client::connect(path, kLong);
    ASSERT_TRUE(client) << client.error().message();
    const auto first = client->call("maps", {{"a", 1}}, kLong);
    ASSERT_TRUE(first) << first.error().message();
    EXPECT_EQ(first->result, json::parse(R"({"echo":{"a":1}})"));
    const auto refused = client->call("flows", json::object(), kLong);
    ASSERT_TRUE(refused);
    ASSERT_TRUE(refused->error);
    EXPECT_EQ(refused->code, "exists");
    const auto large = client->call("status", {{"bytes", 5'000'000}}, kLong);
    ASSERT_TRUE(large);
    EXPECT_EQ(large->result["text"].get<std::string>().size(), 5'000'000U);
  });
}

TEST_F(ClientTest, GivesUpWhenNoAnswerComes) {
  with_server([&] {
    auto client = Client::connect(path, kLong);
    ASSERT_TRUE(client);
    const auto answer = client->call("map", json::object(), Millis(30));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code(), Code::kTimeout);
  });
}

TEST_F(ClientTest, RefusesToSendWhatTheServerWouldNotTake) {
  with_server([&] {
    auto client = Client::connect(path, kLong);
    ASSERT_TRUE(client);
    const auto answer = client->call("maps", {{"t", std::string(NFR_ADMIN_REQUEST_MAX, 'x')}}, kLong);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code(), Code::kInvalid);
  });
}

TEST_F(ClientTest, SaysThatTheDaemonIsNotRunning) {
  const auto none = ask_once(path);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), Code::kUnavailable);
  EXPECT_TRUE(none.error().message().starts_with("nfrelayd is not running (no socket at " + path + ")"));
  { const auto listener = listen_unix(path, 0600); }
  const auto stale = ask_once(path);
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code(), Code::kUnavailable);
  EXPECT_TRUE(stale.error().message().starts_with("nfrelayd is not running (nobody listens at " + path + ")"));
}

// Root may open everything: it becomes somebody else for the moment.
template <class Function>
auto without_root(Function function) {
  const bool root = ::geteuid() == 0;
  if (root) {
    EXPECT_EQ(::setegid(65534), 0);
    EXPECT_EQ(::seteuid(65534), 0);
  }
  auto result = function();
  if (root) {
    EXPECT_EQ(::seteuid(0), 0);
    EXPECT_EQ(::setegid(0), 0);
  }
  return result;
}

TEST_F(ClientTest, SaysWhatToDoWithoutPermission) {
  const auto listener = listen_unix(path, 0000);
  ASSERT_TRUE(listener);
  const auto denied = without_root([&] { return ask_once(path); });
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code(), Code::kDenied);
  EXPECT_NE(denied.error().message().find("permission denied"), std::string::npos);
  EXPECT_NE(denied.error().message().find("use sudo"), std::string::npos);
}

TEST_F(ClientTest, RefusesPathsThatDoNotFitASocket) {
  const auto answer = ask_once("/" + std::string(200, 'p'));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Code::kInvalid);
  EXPECT_FALSE(ask_once(""));
}

TEST_F(ClientTest, DoesNotHangOnAFullQueue) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  const auto first = connect_unix(path, kLong);
  ASSERT_TRUE(first);
  const auto second = Client::connect(path, Millis(20));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kTimeout);
}

struct Nonsense {
  const char* answer;
  Code code;
};

TEST_F(ClientTest, NonsenseFromTheOtherSideIsAnError) {
  const Nonsense cases[] = {
      {"", Code::kUnavailable},
      {"{\"v\":1,\"id\":1,\"ok\":tr", Code::kUnavailable},
      {"garbage\n", Code::kProtocol},
      {"{\"v\":1,\"id\":2,\"ok\":true,\"result\":{}}\n", Code::kProtocol},
      {"{\"v\":1,\"id\":null,\"ok\":true,\"result\":{}}\n", Code::kProtocol},
      {"{\"v\":9,\"id\":1,\"ok\":true,\"result\":{}}\n", Code::kProtocol},
  };
  for (const Nonsense& nonsense : cases) {
    const OneAnswer other(path, nonsense.answer);
    const auto answer = ask_once(path);
    ASSERT_FALSE(answer) << nonsense.answer;
    EXPECT_EQ(answer.error().code(), nonsense.code) << nonsense.answer << answer.error().message();
  }
}

TEST_F(ClientTest, AnErrorAboutTheConnectionIsAnAnswer) {
  const OneAnswer other(path, encode_answer(std::nullopt, Error(Code::kExhausted, "too many")));
  const auto answer = ask_once(path);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, "exhausted");
}

TEST(UnixSocket, ReplacesAStaleSocketButNotALiveOne) {
  const ScratchDirectory directory;
  const std::string path = directory / "s";
  { const auto first = listen_unix(path, 0600); }
  const auto second = listen_unix(path, 0640);
  ASSERT_TRUE(second) << second.error().message();
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640U);
  const auto third = listen_unix(path, 0600);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code(), Code::kExists);
}

TEST(UnixSocket, LeavesOtherFilesAlone) {
  const ScratchDirectory directory;
  const std::string path = directory / "precious";
  { const Fd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); }
  const auto listener = listen_unix(path, 0600);
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().os_errno(), EADDRINUSE);
  EXPECT_TRUE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace nfr::admin
