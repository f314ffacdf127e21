#include "exponential.h"

/// Columns of several vectors, which stay in the first cache until they are read again.
INLINE void exponentials_of(const int vectors, long rows, float *x, long x_row, const float *bias, float *largest,
    float *sums) {
  enum { most_vectors = 4 };
  vector most[most_vectors], sum[most_vectors];
  UNROLL for (int v = 0; v < vectors; v++) {
    most[v] = load(x + v * vector_floats) + bias[0];
    sum[v] = 0;
  }
  for (long row = 1; row < rows; row++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      most[v] = larger(most[v], load(x + row * x_row + v * vector_floats) + bias[row]);
    }
  }
  for (long row = 0; row < rows; row++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      float *place = x + row * x_row + v * vector_floats;
      const vector power = exponential(larger(-87, (load(place) + bias[row]) - most[v]));
      store(power, place);
      sum[v] += power;
    }
  }
  UNROLL for (int v = 0; v < vectors; v++) {
    store(most[v], largest + v * vector_floats);
    store(sum[v], sums + v * vector_floats);
  }
}

INLINE void exponentials(long rows, long columns, float *x, long x_row, const float *bias, float *largest, float *sums) {
  enum { together = 4 };
  long column = 0;
  for (; column + together * vector_floats <= columns; column += together * vector_floats) {
    exponentials_of(together, rows, x + column, x_row, bias, largest + column, sums + column);
  }
  for (; column < columns; column += vector_floats) {
    exponentials_of(1, rows, x + column, x_row, bias, largest + column, sums + column);
  }
}

/// What comes next has left the cache since it was written, and is asked for well before.
INLINE void scale_columns(long rows, long columns, float *x, long x_row, const float *factors, float *sums) {
  enum { ahead = 512 };
  for (long row = 0; row < rows; row++) {
    vector sum = 0;
    for (long column = 0; column < columns; column += vector_floats) {
      float *place = x + row * x_row + column;
      __builtin_prefetch(place + ahead);
      const vector scaled = load(place) * load(factors + column);
      store(scaled, place);
      sum += scaled;
    }
    float total = 0;
    UNROLL for (int i = 0; i < vector_floats; i++) total += sum[i];
    sums[row] = total;
  }
}

#define EXPONENTIALS(set) exponentials##set(rows, columns, x, x_row, bias, largest, sums)
#define SCALE(set) scale_columns##set(rows, columns, x, x_row, factors, sums)
#define DEFINE(set, attribute) \
  attribute static void exponentials##set(long rows, long columns, float *x, long x_row, const float *bias, \
      float *largest, float *sums) { \
    exponentials(rows, columns, x, x_row, bias, largest, sums); \
  } \
  attribute static void scale_columns##set( \
      long rows, long columns, float *x, long x_row, const float *factors, float *sums) { \
    scale_columns(rows, columns, x, x_row, factors, sums); \
  }

#if defined(__x86_64__)
DEFINE(_avx512, AVX512)
DEFINE(_avx2, AVX2)
#endif
DEFINE(_any, )

void lockstep_exponentials(lockstep_instructions instructions, long rows, long columns, float *x, long x_row,
    const float *bias, float *largest, float *sums) {
  DISPATCH(instructions, EXPONENTIALS)
}

void lockstep_scale_columns(lockstep_instructions instructions, long rows, long columns, float *x, long x_row,
    const float *factors, float *sums) {
  DISPATCH(instructions, SCALE)
}
