// SPDX-License-Identifier: GPL-2.0-only
// Preloaded into a program: each send() and recv() burns 100 us of processor time first. For the test of the benchmark,
// which must see it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/socket.h>
#include <time.h>

static void burn(void) {
  struct timespec began, now;
  clock_gettime(CLOCK_MONOTONIC, &began);
  do clock_gettime(CLOCK_MONOTONIC, &now);
  while ((now.tv_sec - began.tv_sec) * 1000000000L + now.tv_nsec - began.tv_nsec < 100000);
}

ssize_t send(int socket, const void* bytes, size_t size, int flags) {
  static ssize_t (*next)(int, const void*, size_t, int);
  if (!next) next = (ssize_t(*)(int, const void*, size_t, int))dlsym(RTLD_NEXT, "send");
  burn();
  return next(socket, bytes, size, flags);
}

ssize_t recv(int socket, void* bytes, size_t size, int flags) {
  static ssize_t (*next)(int, void*, size_t, int);
  if (!next) next = (ssize_t(*)(int, void*, size_t, int))dlsym(RTLD_NEXT, "recv");
  burn();
  return next(socket, bytes, size, flags);
}
