# Which vector kernels this machine can take.
set(MT_X86_SIMD ${MT_SIMD})
set(MT_NEON OFF)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(MT_NEON ${MT_SIMD})
  set(MT_X86_SIMD OFF)
endif()

# Flags that hold for every room.
add_library(mt_flags INTERFACE)
target_compile_options(mt_flags INTERFACE
  -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes
  -Wwrite-strings -Wformat=2 -Wvla -Wundef -Wno-unused-parameter -fno-math-errno -fno-trapping-math -ffp-contract=off)
target_compile_definitions(mt_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64
  MT_VERSION="${PROJECT_VERSION}" $<$<NOT:$<BOOL:${MT_X86_SIMD}>>:MT_NO_SIMD=1> $<$<BOOL:${MT_NEON}>:MT_NEON=1>)
target_include_directories(mt_flags INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
if(MT_WERROR)
  target_compile_options(mt_flags INTERFACE -Werror)
endif()
if(MT_ASAN)
  set(MT_SANITIZE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g)
elseif(MT_TSAN)
  set(MT_SANITIZE -fsanitize=thread -fno-omit-frame-pointer -g)
endif()
if(MT_FUZZ)
  list(APPEND MT_SANITIZE -fsanitize=fuzzer-no-link)
endif()
if(MT_COVERAGE)
  list(APPEND MT_SANITIZE --coverage -O0)
endif()
if(MT_SANITIZE)
  add_compile_options(${MT_SANITIZE})
  add_link_options(${MT_SANITIZE})
endif()
