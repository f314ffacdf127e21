#include <string.h>

#include "vectors.h"

// MARK: - Laying out

long lockstep_panel_floats(long depth, long columns) {
  return depth * ((columns + lockstep_panel_step - 1) / lockstep_panel_step * lockstep_panel_step);
}

/// Columns of the panel that begins so many columns before the matrix's end.
INLINE long panel_width(long columns) {
  return columns > lockstep_panel_step ? lockstep_panel_columns : lockstep_panel_step;
}

void lockstep_pack_panels(lockstep_instructions instructions, long depth, long columns, const float *b, long b_row,
    long b_column, float *panels) {
  for (long first = 0; first < columns; first += lockstep_panel_columns) {
    const long width = panel_width(columns - first), count = columns - first < width ? columns - first : width;
    float *panel = panels + first * depth;
    const size_t bytes = (size_t)count * sizeof *b, rest = (size_t)(width - count) * sizeof *b;
    if (b_column == 1) {
      for (long step = 0; step < depth; step++, panel += width) {
        if (count == lockstep_panel_columns) {
          memcpy(panel, b + step * b_row + first, lockstep_panel_columns * sizeof *b);
        } else {
          memcpy(panel, b + step * b_row + first, bytes);
          memset(panel + count, 0, rest);
        }
      }
      continue;
    }
    lockstep_transpose(instructions, count, depth, b + first * b_column, b_column, panel, width);
    for (long step = 0; rest > 0 && step < depth; step++) memset(panel + step * width + count, 0, rest);
  }
}

// MARK: - Multiplying

/// A tile of `c` that stays in registers from the first to the last step of `depth`. `rows` and `vectors`, the tile's
/// width, are constants wherever this is inlined.
INLINE void multiply_tile(const int rows, const int vectors, long depth,
    const float *a, long a_row, const float *b, long b_row, bool adding, float *c, long c_row) {
  enum { most_rows = 12, most_vectors = 2, group = 3 };
  vector sum[most_rows][most_vectors];
  // `c` is needed last, and asked for now: it may be in no cache near.
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      sum[r][v] = 0;
      __builtin_prefetch(c + r * c_row + v * vector_floats, 1);
    }
  }
  // Three rows are reached from one pointer: an address may have one factor, and registers are few.
  const float *at[most_rows / group];
  UNROLL for (int g = 0; g * group < rows; g++) at[g] = a + g * group * a_row;
  // Unknown to the compiler, which would load four numbers of a row at once and have no registers left for the sums.
  long next = 1;
  __asm__("" : "+r"(next));
  const int ahead = 32 * vector_floats * most_vectors;  // what arrives from the shared cache until it is needed

#pragma clang loop unroll_count(4)
  for (long step = 0; step < depth; step++) {
    vector weight[most_vectors];
    UNROLL for (int v = 0; v < vectors; v++) {
      weight[v] = load(b + v * vector_floats);
      __builtin_prefetch(b + v * vector_floats + ahead);
    }
    UNROLL for (int r = 0; r < rows; r++) {
      const float number = at[r / group][r % group * a_row];
      UNROLL for (int v = 0; v < vectors; v++) sum[r][v] += number * weight[v];
    }
    b += b_row;
    UNROLL for (int g = 0; g * group < rows; g++) at[g] += next;
  }
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      float *place = c + r * c_row + v * vector_floats;
      store(adding ? sum[r][v] + load(place) : sum[r][v], place);
    }
  }
}

#define TILE(rows, vectors) \
  multiply_tile(rows, vectors, depth, a, a_row, b, b_row, adding, c, c_row)
#define ROWS(count, vectors) \
  case count: TILE(count, vectors); break;
#define PARAMETERS \
  long rows, long depth, const float *a, long a_row, const float *b, long b_row, bool adding, \
      float *c, long c_row

/// Registers of a tile: 12 x 2 vectors of the 32 with AVX-512, 6 x 1 (of two registers each) of the 16 with AVX2, 6 x 1 (of
/// four) of the 32 with NEON, 2 x 1 of the 16 that every x86-64 has.
enum { rows_avx512 = 12, rows_avx2 = 6 };
#if defined(__x86_64__)
enum { rows_any = 2 };
#else
enum { rows_any = 6 };
#endif

#if defined(__x86_64__)
AVX512 static void whole_avx512(PARAMETERS) {
  switch (rows) {
    ROWS(1, 2) ROWS(2, 2) ROWS(3, 2) ROWS(4, 2) ROWS(5, 2) ROWS(6, 2)
    ROWS(7, 2) ROWS(8, 2) ROWS(9, 2) ROWS(10, 2) ROWS(11, 2) ROWS(12, 2)
  }
}

AVX512 static void half_avx512(PARAMETERS) {
  switch (rows) {
    ROWS(1, 1) ROWS(2, 1) ROWS(3, 1) ROWS(4, 1) ROWS(5, 1) ROWS(6, 1)
    ROWS(7, 1) ROWS(8, 1) ROWS(9, 1) ROWS(10, 1) ROWS(11, 1) ROWS(12, 1)
  }
}

AVX2 static void half_avx2(PARAMETERS) {
  switch (rows) { ROWS(1, 1) ROWS(2, 1) ROWS(3, 1) ROWS(4, 1) ROWS(5, 1) ROWS(6, 1) }
}
#endif

static void half_any(PARAMETERS) {
  switch (rows) { ROWS(1, 1) ROWS(2, 1) ROWS(3, 1) ROWS(4, 1) ROWS(5, 1) ROWS(6, 1) }
}

typedef void (*tiles)(PARAMETERS);

/// Whole tiles in `c`; those that reach past its last column are computed beside it, and what belongs to it copied.
static void multiply_columns(tiles multiply, long width, long most_rows, long rows, long columns, long depth,
    const float *a, long a_row, const float *b, long b_row, bool adding, float *c, long c_row) {
  const long groups = (rows + most_rows - 1) / most_rows;
  for (long group = 0; group < groups; group++) {
    const long first = rows * group / groups, count = rows * (group + 1) / groups - first;
    const float *from = a + first * a_row;
    float *to = c + first * c_row;
    if (columns >= width) {
      multiply(count, depth, from, a_row, b, b_row, adding, to, c_row);
      continue;
    }
    const size_t bytes = (size_t)columns * sizeof *to;
    float edge[rows_avx512 * lockstep_panel_columns] = {0};
    for (long row = 0; adding && row < count; row++) memcpy(edge + row * width, to + row * c_row, bytes);
    multiply(count, depth, from, a_row, b, b_row, adding, edge, width);
    for (long row = 0; row < count; row++) memcpy(to + row * c_row, edge + row * width, bytes);
  }
}

void lockstep_multiply_panel(lockstep_instructions instructions, long rows, long columns, long depth, const float *a,
    long a_row, const float *panel, bool adding, float *c, long c_row) {
  const long width = panel_width(columns);
#if defined(__x86_64__)
  if (instructions == lockstep_avx512) {
    multiply_columns(width > vector_floats ? whole_avx512 : half_avx512, width, rows_avx512, rows, columns, depth, a,
        a_row, panel, width, adding, c, c_row);
    return;
  }
  const bool has_avx2 = instructions == lockstep_avx2;
  const tiles half = has_avx2 ? half_avx2 : half_any;
  const long most_rows = has_avx2 ? rows_avx2 : rows_any;
#else
  (void)instructions;
  const tiles half = half_any;
  const long most_rows = rows_any;
#endif
  for (long column = 0; column < columns; column += vector_floats) {
    multiply_columns(half, vector_floats, most_rows, rows, columns - column, depth, a, a_row,
        panel + column, width, adding, c + column, c_row);
  }
}
