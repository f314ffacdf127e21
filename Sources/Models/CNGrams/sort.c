#include "ngrams.h"

#include <string.h>

// The loops are written once, for a width that the compiler knows, and called by width.
#define INLINE static inline __attribute__((always_inline))

INLINE int less(const uint64_t *a, const uint64_t *b, int width) {
  for (int i = 0; i < width - 1; ++i) {
    if (a[i] != b[i]) return a[i] < b[i];
  }
  return a[width - 1] < b[width - 1];
}

INLINE void move(uint64_t *to, const uint64_t *from, int width) {
  for (int i = 0; i < width; ++i) to[i] = from[i];
}

INLINE void insertion_sort(uint64_t *keys, size_t count, int width) {
  for (size_t i = 1; i < count; ++i) {
    uint64_t key[NGRAMS_MOST_WIDTH];
    move(key, keys + i * width, width);
    size_t at = i;
    for (; at > 0 && less(key, keys + (at - 1) * width, width); --at) {
      move(keys + at * width, keys + (at - 1) * width, width);
    }
    move(keys + at * width, key, width);
  }
}

enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS, FEW = 32 };

INLINE unsigned digit(const uint64_t *key, int place) {
  return (key[place / 8] >> (56 - 8 * (place % 8))) & (DIGITS - 1);
}

// From the most significant digit down: what shares a digit is soon small enough for a cache. `toKeys` says whether the
// result belongs into `keys`, where it is when the call begins, or into `scratch`.
INLINE void radix_sort(
  uint64_t *keys, uint64_t *scratch, size_t count, int width, int place, int toKeys,
  void (*next)(uint64_t *, uint64_t *, size_t, int, int)) {
  size_t counts[DIGITS] = {0};
  for (;;) {
    if (place == 8 * width || count <= FEW) {
      if (place < 8 * width) insertion_sort(keys, count, width);
      if (!toKeys) memcpy(scratch, keys, count * width * sizeof(uint64_t));
      return;
    }
    for (size_t i = 0; i < count; ++i) ++counts[digit(keys + i * width, place)];
    if (counts[digit(keys, place)] < count) break;
    counts[digit(keys, place)] = 0;  // one digit for all: nothing moves
    ++place;
  }
  size_t starts[DIGITS];
  size_t start = 0;
  for (int d = 0; d < DIGITS; ++d) {
    starts[d] = start;
    start += counts[d];
  }
  for (size_t i = 0; i < count; ++i) {
    const uint64_t *key = keys + i * width;
    move(scratch + starts[digit(key, place)]++ * width, key, width);
  }
  start = 0;
  for (int d = 0; d < DIGITS; ++d) {
    if (counts[d] > 0) next(scratch + start * width, keys + start * width, counts[d], place + 1, !toKeys);
    start += counts[d];
  }
}

#define SORT(W)                                                                                             \
  static void sort##W(uint64_t *keys, uint64_t *scratch, size_t count, int place, int toKeys) {              \
    radix_sort(keys, scratch, count, W, place, toKeys, sort##W);                                             \
  }
SORT(1) SORT(2) SORT(3) SORT(4) SORT(5) SORT(6)

void ngrams_sort(uint64_t *keys, uint64_t *scratch, size_t count, int width) {
  if (count < 2) return;
  switch (width) {
    case 1: return sort1(keys, scratch, count, 0, 1);
    case 2: return sort2(keys, scratch, count, 0, 1);
    case 3: return sort3(keys, scratch, count, 0, 1);
    case 4: return sort4(keys, scratch, count, 0, 1);
    case 5: return sort5(keys, scratch, count, 0, 1);
    default: return sort6(keys, scratch, count, 0, 1);
  }
}

INLINE size_t unique(uint64_t *keys, uint64_t *counts, size_t count, int width) {
  size_t last = 0;
  counts[0] = 1;
  for (size_t i = 1; i < count; ++i) {
    if (memcmp(keys + i * width, keys + last * width, width * sizeof(uint64_t)) == 0) {
      ++counts[last];
    } else {
      move(keys + ++last * width, keys + i * width, width);
      counts[last] = 1;
    }
  }
  return last + 1;
}

size_t ngrams_unique(uint64_t *keys, uint64_t *counts, size_t count, int width) {
  if (count == 0) return 0;
  switch (width) {
    case 1: return unique(keys, counts, count, 1);
    case 2: return unique(keys, counts, count, 2);
    case 3: return unique(keys, counts, count, 3);
    case 4: return unique(keys, counts, count, 4);
    case 5: return unique(keys, counts, count, 5);
    default: return unique(keys, counts, count, 6);
  }
}

INLINE size_t merge(
  ngrams_run *runs, int run_count, int width, uint64_t *keys, uint64_t *counts, size_t capacity) {
  size_t written = 0;
  while (written < capacity) {
    const uint64_t *least = 0;
    for (int run = 0; run < run_count; ++run) {
      if (runs[run].count == 0) {
        if (runs[run].goes_on) return written;
      } else if (!least || less(runs[run].keys, least, width)) {
        least = runs[run].keys;
      }
    }
    if (!least) return written;
    uint64_t *key = keys + written * width;
    move(key, least, width);
    uint64_t sum = 0;
    for (int run = 0; run < run_count; ++run) {
      if (runs[run].count > 0 && memcmp(runs[run].keys, key, width * sizeof(uint64_t)) == 0) {
        sum += *runs[run].counts;
        runs[run].keys += width;
        ++runs[run].counts;
        --runs[run].count;
      }
    }
    counts[written++] = sum;
  }
  return written;
}

size_t ngrams_merge(
  ngrams_run *runs, int run_count, int width, uint64_t *keys, uint64_t *counts, size_t capacity) {
  switch (width) {
    case 1: return merge(runs, run_count, 1, keys, counts, capacity);
    case 2: return merge(runs, run_count, 2, keys, counts, capacity);
    case 3: return merge(runs, run_count, 3, keys, counts, capacity);
    case 4: return merge(runs, run_count, 4, keys, counts, capacity);
    case 5: return merge(runs, run_count, 5, keys, counts, capacity);
    default: return merge(runs, run_count, 6, keys, counts, capacity);
  }
}
