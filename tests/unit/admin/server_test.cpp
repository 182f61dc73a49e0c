// SPDX-License-Identifier: GPL-2.0-only
// The admin server against well-behaved and misbehaving clients.
#include "harness/scale.hpp"
#include "unit/admin/fixture.hpp"

namespace nfr::admin {
namespace {

TEST_F(ServerTest, AnswersSeveralRequestsOfOneConnection) {
  serve();
  RawClient client(path);
  EXPECT_EQ(ask(client, request(7, "maps", {{"a", 1}})),
            json::parse(R"({"v":1,"id":7,"ok":true,"result":{"echo":{"a":1}}})"));
  EXPECT_EQ(
      ask(client, request(8, "flows")),
      json::parse(R"({"v":1,"id":8,"ok":false,"error":{"code":"exists","message":"port 8888 belongs to client1"}})"));
  EXPECT_EQ(ask(client, request(9, "maps"))["id"], 9);
}

TEST_F(ServerTest, PassesThePeersCredentials) {
  serve();
  RawClient client(path);
  const json result = ask(client, request(1, "version"))["result"];
  EXPECT_EQ(result["pid"], ::getpid());
  EXPECT_EQ(result["uid"], ::getuid());
  EXPECT_EQ(result["gid"], ::getgid());
}

TEST_F(ServerTest, BadRequestsAreAnsweredAndTheConnectionGoesOn) {
  serve();
  RawClient client(path);
  for (const char* bad : {"", "garbage", "[]", "{}", R"({"v":2,"id":1,"cmd":"maps"})",
                          R"({"v":1,"id":1,"cmd":"m\u0000aps"})", R"({"v":1,"id":1,"cmd":"rm -rf"})", "\xff\xfe\x00"}) {
    const json answer = ask(client, bad);
    EXPECT_EQ(answer.value("ok", true), false) << bad;
    EXPECT_FALSE(answer["error"]["message"].get<std::string>().empty()) << bad;
  }
  EXPECT_EQ(handler.calls, 0U);
  EXPECT_EQ(ask(client, R"({"v":1,"id":3,"cmd":"nope"})")["error"]["code"], "not_found");
  EXPECT_EQ(ask(client, R"({"v":3,"id":3,"cmd":"maps"})")["id"], 3);
  EXPECT_EQ(ask(client, request(4, "maps"))["ok"], true);
}

TEST_F(ServerTest, TruncatedAtEveryByteIsAnErrorAndNeverACall) {
  serve();
  const std::string whole = request(7, "maps", {{"k", "v"}});
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    RawClient client(path);
    client.send(std::string_view(whole).substr(0, length));
    client.end_sending();
    const json answer = next(client);
    if (length == 0) {
      EXPECT_TRUE(answer.is_null());
    } else {
      EXPECT_EQ(answer["error"]["code"], "invalid") << length;
      EXPECT_TRUE(drained(client)) << length;
    }
  }
  EXPECT_EQ(handler.calls, 0U);
  EXPECT_TRUE(drive([&] { return server->connection_count() == 0; }));
}

TEST_F(ServerTest, ClientsThatVanishAtEveryByteLeaveNothingBehind) {
  serve();
  const std::string whole = request(7, "map") + "\n" + request(8, "maps") + "\n";
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    RawClient client(path);
    ASSERT_TRUE(client.connected());
    client.send(std::string_view(whole).substr(0, length));
    loop->run_once(Millis(0));
    client.leave();
  }
  EXPECT_TRUE(drive([&] { return server->connection_count() == 0; }))
      << "the slots of clients whose request is at work too";
}

TEST_F(ServerTest, ADribbledRequestIsAnswered) {
  serve();
  RawClient client(path);
  for (const char byte : request(5, "maps") + "\n") {
    ASSERT_EQ(client.send({&byte, 1}), 1U);
    loop->run_once(Millis(1));
  }
  EXPECT_EQ(next(client)["id"], 5);
}

TEST_F(ServerTest, TheLongestRequestFitsAndOneByteMoreDoesNot) {
  serve();
  const std::string frame = request(1, "maps", {{"t", ""}});
  const auto of_size = [&](std::size_t size) {
    std::string text = frame;
    return text.insert(text.find(R"("t":"")") + 5, size - frame.size(), 'x') + "\n";
  };
  const auto send_all = [&](RawClient& client, const std::string& text) {
    std::string_view rest = text;
    EXPECT_TRUE(drive([&] {
      rest.remove_prefix(client.send(rest));
      return rest.empty();
    }));
  };
  RawClient fits(path);
  send_all(fits, of_size(NFR_ADMIN_REQUEST_MAX));
  EXPECT_EQ(next(fits)["ok"], true);
  RawClient over(path);
  send_all(over, of_size(NFR_ADMIN_REQUEST_MAX + 1));
  EXPECT_EQ(next(over)["error"]["code"], "invalid");
  EXPECT_TRUE(drained(over));
  EXPECT_EQ(handler.calls, 1U);
}

TEST_F(ServerTest, AnEndlessLineIsCutOff) {
  serve();
  RawClient client(path);
  const std::string noise(1 << 16, 'a');
  json answer;
  EXPECT_TRUE(drive([&] {
    client.send(noise);
    client.poll();
    return client.has_line();
  }));
  EXPECT_EQ(client.take_line()["error"]["code"], "invalid");
  EXPECT_TRUE(drained(client));
  EXPECT_TRUE(drive([&] { return server->connection_count() == 0; }));
}

TEST_F(ServerTest, OneConnectionTooManyIsToldSo) {
  serve();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < NFR_ADMIN_CONNECTIONS_MAX; ++i) {
    clients.push_back(std::make_unique<RawClient>(path));
    ASSERT_EQ(ask(*clients.back(), request(1, "maps"))["ok"], true) << i;
  }
  RawClient surplus(path);
  EXPECT_EQ(next(surplus)["error"]["code"], "exhausted");
  EXPECT_TRUE(drained(surplus));
  clients.front()->leave();
  EXPECT_TRUE(drive([&] { return server->connection_count() < NFR_ADMIN_CONNECTIONS_MAX; }));
  RawClient later(path);
  EXPECT_EQ(ask(later, request(1, "maps"))["ok"], true);
}

TEST_F(ServerTest, AThousandRequestsInOneWriteAreAllAnswered) {
  serve();
  RawClient client(path);
  std::string text;
  for (std::uint64_t id = 0; id < 1000; ++id) text += request(id, "maps") + "\n";
  ASSERT_TRUE(drive([&] {
    text.erase(0, client.send(text));
    return text.empty();
  }));
  for (std::uint64_t id = 0; id < 1000; ++id) ASSERT_EQ(next(client)["id"], id);
}

TEST_F(ServerTest, AClientThatNeverReadsCostsABoundedNumberOfAnswers) {
  serve();
  RawClient client(path);
  const std::uint64_t kRequests = test::scaled(100, 48);
  constexpr std::size_t kBytes = 300'000;
  std::string text;
  for (std::uint64_t id = 0; id < kRequests; ++id) text += request(id, "status", {{"bytes", kBytes}}) + "\n";
  ASSERT_EQ(client.send(text), text.size());
  for (int round = 0; round < 50; ++round) loop->run_once(Millis(1));
  const std::size_t handled = handler.calls;
  EXPECT_GE(handled, std::size_t{NFR_ADMIN_OUTSTANDING_MAX});
  // What the kernel's buffers took may be one or two more.
  EXPECT_LE(handled, std::size_t{NFR_ADMIN_OUTSTANDING_MAX} + 4);
  RawClient other(path);
  EXPECT_EQ(ask(other, request(1, "maps"))["ok"], true) << "others are served meanwhile";
  for (std::uint64_t id = 0; id < kRequests; ++id) {
    ASSERT_TRUE(drive([&] {
      client.poll();
      return client.has_line();
    }));
    const std::string answer = client.take_text();  // not parsed: 30 MB of JSON are most of this test's time
    ASSERT_NE(answer.find("\"id\":" + std::to_string(id) + ","), std::string::npos);
    ASSERT_GT(answer.size(), kBytes);
    ASSERT_LT(answer.size(), kBytes + 200);
  }
}

TEST_F(ServerTest, RequestsAtWorkAreBoundedToo) {
  serve();
  RawClient client(path);
  std::string text;
  for (std::uint64_t id = 0; id < 40; ++id) text += request(id, "map") + "\n";
  client.send(text);
  for (int round = 0; round < 50; ++round) loop->run_once(Millis(1));
  EXPECT_EQ(handler.kept.size(), std::size_t{NFR_ADMIN_OUTSTANDING_MAX});
  handler.kept[3](json("third"));
  EXPECT_EQ(next(client)["id"], 3);
  EXPECT_TRUE(drive([&] { return handler.kept.size() == NFR_ADMIN_OUTSTANDING_MAX + 1; }));
}

TEST_F(ServerTest, AReplyMayComeLateAndOutOfOrder) {
  serve();
  RawClient client(path);
  client.send(request(1, "map") + "\n" + request(2, "map") + "\n" + request(3, "maps") + "\n");
  EXPECT_EQ(next(client)["id"], 3);
  handler.kept[1](json("second"));
  EXPECT_EQ(next(client), json::parse(R"({"v":1,"id":2,"ok":true,"result":"second"})"));
  handler.kept[0](Error(Code::kTimeout, "late"));
  EXPECT_EQ(next(client)["error"]["code"], "timeout");
}

TEST_F(ServerTest, AReplyAfterTheClientLeftIsDropped) {
  serve();
  {
    RawClient client(path);
    client.send(request(1, "map") + "\n");
    ASSERT_TRUE(drive([&] { return handler.kept.size() == 1; }));
  }
  EXPECT_TRUE(drive([&] { return server->connection_count() == 0; }));
  handler.kept[0](json("nobody reads this"));
}

TEST_F(ServerTest, AReplyAtTheMomentTheClientLeavesIsFine) {
  serve();
  RawClient client(path);
  client.send(request(1, "map") + "\n" + request(2, "map") + "\n");
  ASSERT_TRUE(drive([&] { return handler.kept.size() == 2; }));
  client.leave();
  handler.kept[0](json(std::string(1 << 20, 'x')));
  handler.kept[1](json("y"));
  EXPECT_TRUE(drive([&] { return server->connection_count() == 0; }));
}

TEST_F(ServerTest, AReplyAfterTheServerClosedIsDropped) {
  serve();
  RawClient client(path);
  client.send(request(1, "map") + "\n");
  ASSERT_TRUE(drive([&] { return handler.kept.size() == 1; }));
  close_server();
  EXPECT_TRUE(drained(client));
  handler.kept[0](json("too late"));
}

TEST_F(ServerTest, ADroppedReplyIsAnError) {
  serve();
  RawClient client(path);
  EXPECT_EQ(ask(client, request(6, "unmap")), json::parse(R"({"v":1,"id":6,"ok":false,"error":{"code":"unavailable",
                            "message":"the daemon gave up on this request without an answer"}})"));
}

TEST_F(ServerTest, AHalfClosedClientStillGetsItsAnswers) {
  serve();
  RawClient client(path);
  client.send(request(1, "map") + "\n" + request(2, "maps") + "\n");
  client.end_sending();
  EXPECT_EQ(next(client)["id"], 2);
  for (int round = 0; round < 10; ++round) loop->run_once(Millis(1));
  ASSERT_EQ(handler.kept.size(), 1U);
  handler.kept[0](json("at last"));
  EXPECT_EQ(next(client)["result"], "at last");
  EXPECT_TRUE(drained(client));
}

TEST_F(ServerTest, AClientThatSaysNothingIsClosed) {
  serve({.idle_timeout_ms = Millis(50)});
  RawClient client(path);
  EXPECT_TRUE(next(client).is_null());
  EXPECT_TRUE(drive([&] { return server->connection_count() == 0; }));
}

TEST_F(ServerTest, DribblingDoesNotProlongALife) {
  serve({.idle_timeout_ms = Millis(100)});
  RawClient client(path);
  EXPECT_TRUE(drive([&] {
    client.send(" ");
    client.poll();
    return client.ended();
  }));
}

TEST_F(ServerTest, AClientThatDoesNotTakeItsAnswersIsClosed) {
  serve({.idle_timeout_ms = Millis(100)});
  RawClient client(path);
  client.send(request(1, "status", {{"bytes", 4'000'000}}) + "\n");
  EXPECT_TRUE(drive([&] { return handler.calls == 1 && server->connection_count() == 0; }));
}

TEST_F(ServerTest, AHandlerAtWorkIsNotIdle) {
  serve({.idle_timeout_ms = Millis(30)});
  RawClient client(path);
  client.send(request(1, "map") + "\n");
  const Instant later = std::chrono::steady_clock::now() + Millis(150);
  ASSERT_TRUE(drive([&] { return std::chrono::steady_clock::now() > later; }));
  ASSERT_EQ(handler.kept.size(), 1U);
  handler.kept[0](json("done"));
  EXPECT_EQ(next(client)["result"], "done");
}

TEST_F(ServerTest, CloseEndsEverythingAtAnyStage) {
  serve();
  RawClient silent(path);
  RawClient partial(path);
  partial.send("{\"v\":");
  RawClient waiting(path);
  waiting.send(request(1, "map") + "\n");
  RawClient unread(path);
  unread.send(request(1, "status", {{"bytes", 4'000'000}}) + "\n");
  ASSERT_TRUE(drive([&] { return server->connection_count() == 4 && handler.calls == 2; }));
  close_server();
  for (RawClient* client : {&silent, &partial, &waiting, &unread}) EXPECT_TRUE(drained(*client));
  EXPECT_FALSE(RawClient(path).connected());
}

TEST_F(ServerTest, AServerWithItsOwnCommandsKnowsOnlyThose) {
  serve({.commands = {"maps"}});
  RawClient client(path);
  EXPECT_EQ(ask(client, request(1, "maps"))["ok"], true);
  EXPECT_EQ(ask(client, request(2, "status"))["error"]["code"], "not_found");
}

}  // namespace
}  // namespace nfr::admin
