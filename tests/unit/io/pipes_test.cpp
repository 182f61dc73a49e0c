// SPDX-License-Identifier: GPL-2.0-only
// PipePool: how many there are, that one comes back empty or not at all, and that its bytes can be taken out.
#include "io/pipes.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

namespace nfr::io {
namespace {

void put(Pipe& pipe, std::string_view text) {
  ASSERT_EQ(::write(pipe.in.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  pipe.held += text.size();
}

TEST(PipePool, LendsSoManyAndTheSameAgain) {
  PipePool pool(2);
  auto first = pool.lend();
  const auto second = pool.lend();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(pool.lend(), nullptr);
  const int descriptor = first->in.get();
  pool.give_back(std::move(first));
  EXPECT_EQ(pool.lent_count(), 1U);
  EXPECT_EQ(pool.lend()->in.get(), descriptor);
}

TEST(PipePool, WhatIsNotEmptyIsClosed) {
  PipePool pool(1);
  auto pipe = pool.lend();
  put(*pipe, "left");
  const int descriptor = pipe->in.get();
  pool.give_back(std::move(pipe));
  EXPECT_EQ(::fcntl(descriptor, F_GETFD), -1);
  pipe = pool.lend();
  ASSERT_TRUE(pipe);
  char byte = 0;
  EXPECT_EQ(::read(pipe->out.get(), &byte, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST(PipePool, DrainTakesEveryByteInOrder) {
  PipePool pool(1);
  auto pipe = pool.lend();
  std::string text;
  while (text.size() < 60'000) text += std::to_string(text.size()) + " ";
  put(*pipe, text);
  const auto bytes = pipe->drain();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), text);
  EXPECT_EQ(pipe->held, 0U);
  pool.give_back(std::move(pipe));
  EXPECT_EQ(pool.lent_count(), 0U);
}

TEST(PipePool, WithoutDescriptorsNothingIsLentUntilThereAreSome) {
  PipePool pool(1);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_EQ(pool.lend(), nullptr);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_NE(pool.lend(), nullptr);
}

TEST(PipePool, AFewOfAShortageAndNoMoreThanNeeded) {
  EXPECT_EQ(PipePool::count_for(0), 4U);
  EXPECT_EQ(PipePool::count_for(400), 6U);
  EXPECT_EQ(PipePool::count_for(1'000'000), PipePool::kCountMax);
}

}  // namespace
}  // namespace nfr::io
