# Compiler flags for every target: warnings are errors, Debug carries the sanitizers.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

add_compile_definitions(NFR_VERSION="${PROJECT_VERSION}")
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
                    -Woverloaded-virtual -Wnull-dereference -Wformat=2 -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives from inlined library code for these two.
  add_compile_options(-Wno-restrict -Wno-null-dereference)
endif()
if(NOT NFR_SANITIZE STREQUAL "")
  # After CMake's own flags: optimised enough to be quick, lines and names in reports, no more.
  add_compile_options(-O1 -g1)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 loses track in <regex> once code is instrumented; the optimised build keeps this warning.
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()
if(NFR_SANITIZE STREQUAL "address")
  # Not vptr: its check opens a pipe to look at memory, and tests that use up all descriptors would fail on it.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(NFR_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -Wno-tsan)
  add_link_options(-fsanitize=thread)
elseif(NOT NFR_SANITIZE STREQUAL "")
  message(FATAL_ERROR "NFR_SANITIZE=${NFR_SANITIZE}: expected address, thread or empty")
else()
  add_compile_definitions($<$<CONFIG:RelWithDebInfo,Release>:_FORTIFY_SOURCE=2>)
  add_compile_options(-fstack-protector-strong)
  add_link_options(-Wl,-z,relro,-z,now)
endif()

if(NFR_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "NFR_FUZZ needs libFuzzer: configure with -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang")
  endif()
  # Coverage in every room, so that libFuzzer sees what an input reached.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(NFR_CCACHE ccache)
if(NFR_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${NFR_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${NFR_CCACHE})
endif()
find_program(NFR_MOLD mold)
if(NFR_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
