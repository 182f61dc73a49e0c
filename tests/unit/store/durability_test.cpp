// SPDX-License-Identifier: GPL-2.0-only
// The database after the process dies between two instructions, and after the power fails between two sectors: it
// always opens, and holds a prefix of what was written that includes everything acknowledged.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "base/fd.hpp"
#include "harness/scale.hpp"
#include "harness/temp_dir.hpp"
#include "samples.hpp"
#include "store/sqlite_store.hpp"

namespace nfr::store {
namespace {

std::string name_of(std::size_t number) { return "client" + std::to_string(number); }

/// Writes agent N and its mapping for N = first, first+1, ... ; one byte into `acks` after each acknowledged write.
[[noreturn]] void write_for_ever(const std::string& path, std::size_t first, int acks) {
  auto store = SqliteStore::open(path);
  if (!store) ::_exit(3);
  for (std::size_t number = first;; ++number) {
    const auto agent = (*store)->put_agent(sample_agent(name_of(number)));
    if (!agent || ::write(acks, "a", 1) != 1) ::_exit(4);
    const auto endpoint = std::to_string(1 + number);
    if (!(*store)->put_mapping(sample_mapping(*agent, endpoint)) || ::write(acks, "m", 1) != 1) ::_exit(5);
  }
}

/// Lets a child write until `kill_after` acknowledgements and `spin` more nanoseconds, then kills it. Returns how many
/// writes it had acknowledged when it died.
std::size_t write_and_kill(const std::string& path, std::size_t first, std::size_t kill_after, long spin_ns) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    write_for_ever(path, first, ends[1]);
  }
  ::close(ends[1]);
  const Fd acks(ends[0]);
  std::size_t count = 0;
  char byte = 0;
  while (count < kill_after && ::read(acks.get(), &byte, 1) == 1) ++count;
  const timespec pause{0, spin_ns};
  ::nanosleep(&pause, nullptr);  // not a wait for anything: it moves the kill to another point of the write
  ::kill(child, SIGKILL);
  while (::read(acks.get(), &byte, 1) == 1) ++count;
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "child ended by itself, status " << status;
  return count;
}

/// Writes found in the file: agents and mappings in the order they were written, without a gap.
std::size_t verified_prefix(const std::string& path) {
  auto store = SqliteStore::open(path);
  EXPECT_TRUE(store) << store.error().message();
  if (!store) return 0;
  const auto state = (*store)->load();
  EXPECT_TRUE(state) << state.error().message();
  const std::size_t agents = state->agents.size();
  const std::size_t mappings = state->mappings.size();
  EXPECT_TRUE(agents == mappings || agents == mappings + 1) << agents << " agents, " << mappings << " mappings";
  for (std::size_t i = 0; i < agents; ++i) {
    EXPECT_EQ(state->agents[i].name, name_of(i));
    EXPECT_EQ(state->agents[i].key, digest_of(0));
  }
  for (std::size_t i = 0; i < mappings; ++i) {
    EXPECT_EQ(state->mappings[i].public_ports.first.port.value, 1 + i);
    EXPECT_EQ(state->mappings[i].agent, state->agents[i].id);
  }
  return agents + mappings;
}

TEST(Durability, KilledTwoHundredTimesInTheMiddleOfWriting) {
  test::TempDir directory(test::TempDir::Where::kMemory);  // a killed process loses nothing that the kernel has
  const std::string path = directory.file("state.db");
  std::size_t written = 0;
  std::size_t died_inside_a_write = 0;
  const unsigned rounds = test::scaled(200, 16);
  for (unsigned round = 0; round < rounds; ++round) {
    // A round that ended between an agent and its mapping is completed first, so that the next begins at an agent.
    if (written % 2 == 1) {
      auto store = SqliteStore::open(path);
      ASSERT_TRUE(store);
      const auto state = (*store)->load();
      const auto endpoint = std::to_string(1 + written / 2);
      ASSERT_TRUE((*store)->put_mapping(sample_mapping(state->agents.back().id, endpoint)));
      ++written;
    }
    // Every eighth round is killed while it opens the file.
    const std::size_t kill_after = round % 8 == 7 ? 0 : 1 + round * 7 % 5;
    const long spin_ns = round * 7919L % 400 * 1000;
    const std::size_t acknowledged = write_and_kill(path, written / 2, kill_after, spin_ns);
    const std::size_t found = verified_prefix(path);
    ASSERT_GE(found, written + acknowledged) << "an acknowledged write is gone, round " << round;
    ASSERT_LE(found, written + acknowledged + 1) << "a write nobody made, round " << round;
    if (found == written + acknowledged + 1) ++died_inside_a_write;
    written = found;
    if (::testing::Test::HasFailure()) return;
  }
  RecordProperty("died_inside_a_write", static_cast<int>(died_inside_a_write));
  EXPECT_GT(written, rounds * 3 / 2);
  EXPECT_TRUE(died_inside_a_write > 0 || rounds < 200) << "no kill ever hit between a commit and its acknowledgement";
}

TEST(Durability, LogCutAtAnyPointOpensWithAPrefix) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  // A first, closed generation: its pages are in the file itself, the rest only in the log.
  ASSERT_TRUE(SqliteStore::open(path));
  write_and_kill(path, 0, 6, 0);
  const auto log_size = std::filesystem::file_size(path + "-wal");
  ASSERT_GT(log_size, 4096u);
  std::size_t before = 0;
  for (std::uintmax_t size = 0; size < log_size + 700; size += 700) {
    const std::string copy = directory.file("copy.db");
    std::filesystem::remove(copy + "-shm");
    const auto overwrite = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(path, copy, overwrite);
    std::filesystem::copy_file(path + "-wal", copy + "-wal", overwrite);
    if (size < log_size) std::filesystem::resize_file(copy + "-wal", size);
    const std::size_t found = verified_prefix(copy);
    ASSERT_GE(found, before) << "a longer log held less, at " << size;
    before = found;
  }
  EXPECT_GE(before, 6u) << "the whole log holds every acknowledged write";
}

}  // namespace
}  // namespace nfr::store
