// Walks through memory that no cache holds, in which what comes next is asked for well before.
#include "vectors.h"

/// Floats from what is computed to what is asked for: what arrives from memory meanwhile.
enum { ahead = 512 };

INLINE void sgd_update(long count, float *parameters, const float *gradients, float scale, float decay, float rate) {
  long i = 0;
  for (; i + vector_floats <= count; i += vector_floats) {
    __builtin_prefetch(parameters + i + ahead);
    __builtin_prefetch(gradients + i + ahead);
    const vector p = load(parameters + i);
    store(p - rate * (load(gradients + i) * scale + decay * p), parameters + i);
  }
  for (; i < count; i++) parameters[i] -= rate * (gradients[i] * scale + decay * parameters[i]);
}

INLINE void sum_parts(long parts, float *const *numbers, long begin, long end, long sums) {
  long i = begin;
  for (; i + vector_floats <= end; i += vector_floats) {
    vector sum = load(numbers[0] + i);
    __builtin_prefetch(numbers[0] + i + ahead);
    for (long part = 1; part < parts; part++) {
      sum += load(numbers[part] + i);
      __builtin_prefetch(numbers[part] + i + ahead);
    }
    for (long part = 0; part < sums; part++) store(sum, numbers[part] + i);
  }
  for (; i < end; i++) {
    float sum = numbers[0][i];
    for (long part = 1; part < parts; part++) sum += numbers[part][i];
    for (long part = 0; part < sums; part++) numbers[part][i] = sum;
  }
}

#define SGD_UPDATE(set) sgd_update##set(count, parameters, gradients, scale, decay, rate)
#define SUM(set) sum_parts##set(parts, numbers, begin, end, sums)
#define DEFINE(set, attribute) \
  attribute static void sgd_update##set( \
      long count, float *parameters, const float *gradients, float scale, float decay, float rate) { \
    sgd_update(count, parameters, gradients, scale, decay, rate); \
  } \
  attribute static void sum_parts##set(long parts, float *const *numbers, long begin, long end, long sums) { \
    sum_parts(parts, numbers, begin, end, sums); \
  }

#if defined(__x86_64__)
DEFINE(_avx512, AVX512)
DEFINE(_avx2, AVX2)
#endif
DEFINE(_any, )

void lockstep_sgd_update(lockstep_instructions instructions, long count, float *parameters, const float *gradients,
    float scale, float decay, float rate) {
  DISPATCH(instructions, SGD_UPDATE)
}

void lockstep_sum_parts(lockstep_instructions instructions, long parts, float *const *numbers, long begin, long end,
    long sums) {
  DISPATCH(instructions, SUM)
}
