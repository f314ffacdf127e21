// Vectors of 16 floats, and how a loop over them is compiled for each set of instructions.
#pragma once

#include <string.h>

#include "kernels.h"

// Vectors pass between functions only where those are inlined.
#pragma clang diagnostic ignored "-Wpsabi"

/// One register of AVX-512, two of AVX2, four of NEON.
enum { vector_floats = 16 };
typedef float vector __attribute__((ext_vector_type(vector_floats)));
typedef int int_vector __attribute__((ext_vector_type(vector_floats)));
typedef vector unaligned_vector __attribute__((aligned(4)));

#define UNROLL _Pragma("clang loop unroll(full)")
/// What is inlined into functions of several sets of instructions is compiled for each.
#define INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
#define AVX512 __attribute__((target("avx512f")))
#define AVX2 __attribute__((target("avx2,fma")))
#define DISPATCH(instructions, call) \
  switch (instructions) { \
    case lockstep_avx512: call(_avx512); break; \
    case lockstep_avx2: call(_avx2); break; \
    default: call(_any); \
  }
#else
#define DISPATCH(instructions, call) \
  (void)(instructions); \
  call(_any);
#endif

INLINE vector load(const float *from) { return *(const unaligned_vector *)from; }
INLINE void store(vector numbers, float *to) { *(unaligned_vector *)to = numbers; }
/// `b` where one of them is not a number.
INLINE vector larger(vector a, vector b) { return a > b ? a : b; }

/// `count` floats of `from`, then zeros.
INLINE vector load_some(const float *from, long count) {
  float some[vector_floats] = {0};
  memcpy(some, from, (size_t)count * sizeof *some);
  return load(some);
}

INLINE void store_some(vector numbers, float *to, long count) {
  float some[vector_floats];
  store(numbers, some);
  memcpy(to, some, (size_t)count * sizeof *some);
}

#define LOAD(from) (count == vector_floats ? load(from) : load_some(from, count))
#define STORE(numbers, to) (count == vector_floats ? store(numbers, to) : store_some(numbers, to, count))
