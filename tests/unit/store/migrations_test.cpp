// SPDX-License-Identifier: GPL-2.0-only
// Schema steps: from nothing, from an older version, a step that fails, and files that must be refused untouched.
#include "store/migrations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <iterator>

#include "harness/temp_dir.hpp"
#include "samples.hpp"
#include "store/sqlite_store.hpp"

namespace nfr::store {
namespace {

using ::testing::HasSubstr;

constexpr const char* kOne =
    "PRAGMA application_id = 1313231443; CREATE TABLE notes (id INTEGER PRIMARY KEY) STRICT;"
    "INSERT INTO notes VALUES (7)";
constexpr const char* kTwo = "ALTER TABLE notes ADD COLUMN body TEXT NOT NULL DEFAULT 'old'";
constexpr const char* kBroken = "INSERT INTO notes VALUES (8, 'new'); INSERT INTO nowhere VALUES (1)";

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void run_sql(const std::string& path, const char* sql) {
  auto database = Database::open(path);
  ASSERT_TRUE(database) << database.error().message();
  const auto status = database->execute(sql);
  ASSERT_TRUE(status) << status.error().message();
}

TEST(Migrations, EmptyFileReachesTheNewestVersion) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  ASSERT_TRUE(SqliteStore::open(path));
  auto database = Database::open(path);
  ASSERT_TRUE(database);
  EXPECT_EQ(*database->integer("PRAGMA user_version"), static_cast<std::int64_t>(schema_steps().size()));
  EXPECT_EQ(*database->integer("PRAGMA application_id"), kApplicationId);
  EXPECT_EQ(*database->text("PRAGMA journal_mode"), "wal");
}

TEST(Migrations, SettingsThatMakeACommitDurableAreOn) {
  test::TempDir directory;
  auto database = Database::open(directory.file("state.db"));
  ASSERT_TRUE(database);
  ASSERT_TRUE(migrate(*database, schema_steps()));
  EXPECT_EQ(*database->integer("PRAGMA synchronous"), 2);  // FULL
  EXPECT_EQ(*database->integer("PRAGMA foreign_keys"), 1);
  EXPECT_EQ(*database->integer("PRAGMA busy_timeout"), 1000);
}

TEST(Migrations, OlderVersionGetsOnlyTheMissingSteps) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  const std::array<const char*, 1> old_steps = {kOne};
  const std::array<const char*, 2> new_steps = {kOne, kTwo};
  {
    auto database = Database::open(path);
    ASSERT_TRUE(migrate(*database, old_steps));
  }
  auto database = Database::open(path);
  ASSERT_TRUE(database);
  ASSERT_TRUE(migrate(*database, new_steps));
  EXPECT_EQ(*database->integer("PRAGMA user_version"), 2);
  EXPECT_EQ(*database->integer("SELECT count(*) FROM notes"), 1);
  EXPECT_EQ(*database->text("SELECT body FROM notes WHERE id = 7"), "old");
  EXPECT_TRUE(migrate(*database, new_steps)) << "a second run has nothing to do";
}

TEST(Migrations, FailedStepLeavesTheVersionBeforeIt) {
  test::TempDir directory;
  auto database = Database::open(directory.file("state.db"));
  ASSERT_TRUE(database);
  const std::array<const char*, 3> steps = {kOne, kTwo, kBroken};
  const auto status = migrate(*database, steps);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message(), HasSubstr("version 3"));
  EXPECT_THAT(status.error().message(), HasSubstr("nowhere"));
  EXPECT_EQ(*database->integer("PRAGMA user_version"), 2);
  EXPECT_EQ(*database->integer("SELECT count(*) FROM notes"), 1);
}

TEST(Migrations, NewerVersionIsRefusedUntouchedNamingBoth) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  run_sql(path, "PRAGMA application_id = 1313231443; PRAGMA user_version = 41; CREATE TABLE future (x)");
  const std::string before = contents(path);
  const auto store = SqliteStore::open(path);
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().message(), HasSubstr("version 41"));
  EXPECT_THAT(store.error().message(), HasSubstr("up to " + std::to_string(schema_steps().size())));
  EXPECT_THAT(store.error().message(), HasSubstr(path));
  EXPECT_EQ(contents(path), before);
}

TEST(Migrations, DatabaseOfAnotherProgramIsRefusedUntouched) {
  test::TempDir directory;
  for (const char* sql : {"CREATE TABLE theirs (x)", "PRAGMA user_version = 1", "PRAGMA application_id = 5"}) {
    const std::string path = directory.file("other.db");
    std::filesystem::remove(path);
    run_sql(path, sql);
    const std::string before = contents(path);
    const auto store = SqliteStore::open(path);
    ASSERT_FALSE(store) << sql;
    EXPECT_THAT(store.error().message(), HasSubstr("another program")) << sql;
    EXPECT_EQ(contents(path), before);
  }
}

TEST(Migrations, StateSurvivesReopeningAndIdsGoOn) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  core::AgentId removed;
  {
    auto store = SqliteStore::open(path);
    ASSERT_TRUE(store);
    const auto agent = (*store)->put_agent(sample_agent("client1"));
    ASSERT_TRUE((*store)->put_mapping(sample_mapping(*agent, "8888")));
    removed = *(*store)->put_agent(sample_agent("client2"));
    ASSERT_TRUE((*store)->remove_agent(removed));
  }
  auto store = SqliteStore::open(path);
  ASSERT_TRUE(store);
  const auto state = (*store)->load();
  ASSERT_TRUE(state);
  EXPECT_EQ(state->agents.size(), 1u);
  EXPECT_EQ(state->mappings.size(), 1u);
  EXPECT_GT(*(*store)->put_agent(sample_agent("client2")), removed) << "an id given before the restart came back";
}

}  // namespace
}  // namespace nfr::store
