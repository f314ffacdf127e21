#include "vectors.h"

/// Four rounds of exchanging rows and columns whose numbers differ in one bit: 8, 4, 2, 1.
INLINE void transpose(vector x[vector_floats]) {
#define ROUND(bit, low, high) \
  UNROLL for (int i = 0; i < vector_floats; i++) { \
    if (i & bit) continue; \
    const vector a = x[i], b = x[i + bit]; \
    x[i] = low; \
    x[i + bit] = high; \
  }
#define PICK(...) __builtin_shufflevector(a, b, __VA_ARGS__)
  ROUND(8, PICK(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
      PICK(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
  ROUND(4, PICK(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
      PICK(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
  ROUND(2, PICK(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
      PICK(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
  ROUND(1, PICK(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
      PICK(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#undef PICK
#undef ROUND
}

INLINE void transpose_matrix(long rows, long columns, const float *from, long from_row, float *to, long to_row) {
  long row = 0;
  for (; row + vector_floats <= rows; row += vector_floats) {
    const float *begin = from + row * from_row;
    float *end = to + row;
    long column = 0;
    for (; column + vector_floats <= columns; column += vector_floats) {
      vector block[vector_floats];
      UNROLL for (int i = 0; i < vector_floats; i++) block[i] = load(begin + i * from_row + column);
      transpose(block);
      UNROLL for (int i = 0; i < vector_floats; i++) store(block[i], end + (column + i) * to_row);
    }
    for (; column < columns; column++) {
      for (int i = 0; i < vector_floats; i++) end[column * to_row + i] = begin[i * from_row + column];
    }
  }
  for (long column = 0; column < columns; column++) {
    for (long rest = row; rest < rows; rest++) to[column * to_row + rest] = from[rest * from_row + column];
  }
}

#define TRANSPOSE(set) transpose_matrix##set(rows, columns, from, from_row, to, to_row)
#define DEFINE(set, attribute) \
  attribute static void transpose_matrix##set( \
      long rows, long columns, const float *from, long from_row, float *to, long to_row) { \
    transpose_matrix(rows, columns, from, from_row, to, to_row); \
  }

#if defined(__x86_64__)
DEFINE(_avx512, AVX512)
DEFINE(_avx2, AVX2)
#endif
DEFINE(_any, )

void lockstep_transpose(lockstep_instructions instructions, long rows, long columns, const float *from, long from_row,
    float *to, long to_row) {
  DISPATCH(instructions, TRANSPOSE)
}
