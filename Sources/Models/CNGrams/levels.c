#include "ngrams.h"

#include <string.h>

static inline uint32_t word_at(const uint64_t *key, int place, int bits) {
  const int first = place * bits, limb = first / 64, shift = first % 64;
  uint64_t value = key[limb] << shift;
  if (shift + bits > 64) value |= key[limb + 1] >> (64 - shift);
  return (uint32_t)(value >> (64 - bits));
}

// How many words two keys share, from the most significant on.
static inline int shared_words(const uint64_t *a, const uint64_t *b, int width, int bits, int order) {
  for (int i = 0; i < width; ++i) {
    const uint64_t difference = a[i] ^ b[i];
    if (difference) {
      const int words = (64 * i + __builtin_clzll(difference)) / bits;
      return words < order ? words : order;
    }
  }
  return order;
}

static inline int length_of(const uint64_t *key, int bits, int order) {
  int length = 1;
  while (length < order && word_at(key, length, bits) != 0) ++length;
  return length;
}

static inline void add(uint32_t *count, uint64_t more, int *overflow) {
  const uint64_t sum = *count + more;
  if (sum > UINT32_MAX) *overflow = 1;
  *count = (uint32_t)sum;
}

int ngrams_add_to_levels(
  const uint64_t *keys, const uint64_t *counts, size_t count, int order, int bits, int width, uint32_t first,
  int continuation, uint64_t *previous, ngrams_level *levels) {
  int overflow = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t *key = keys + i * width;
    const int length = length_of(key, bits, order);
    const int shared = shared_words(key, i ? key - width : previous, width, bits, order);
    const size_t word = word_at(key, 0, bits) - first;
    if (order > 1) {
      while (levels[0].count <= word) levels[0].children[levels[0].count++] = (uint32_t)levels[1].count;
    }
    for (int level = shared > 1 ? shared : 1; level < length; ++level) {
      const size_t at = levels[level].count++;
      levels[level].words[at] = word_at(key, level, bits);
      levels[level].counts[at] = 0;
      if (level + 1 < order) levels[level].children[at] = (uint32_t)levels[level + 1].count;
    }
    if (!continuation) {
      add(levels[0].counts + word, counts[i], &overflow);
      for (int level = 1; level < length; ++level) add(levels[level].counts + levels[level].count - 1, counts[i], &overflow);
    } else {
      // An n-gram that a longer one ends with is seen after one word more.
      for (int level = shared; level < length; ++level) {
        if (level == 1) add(levels[0].counts + word, 1, &overflow);
        if (level > 1) add(levels[level - 1].counts + levels[level - 1].count - 1, 1, &overflow);
      }
      // The longest n-grams, and those that a sentence begins with, are counted themselves.
      if (length == 1) add(levels[0].counts + word, counts[i], &overflow);
      else add(levels[length - 1].counts + levels[length - 1].count - 1, counts[i], &overflow);
    }
  }
  if (count > 0) memcpy(previous, keys + (count - 1) * width, width * sizeof(uint64_t));
  return overflow;
}

void ngrams_close_levels(int order, size_t words, ngrams_level *levels) {
  if (order == 1) {
    levels[0].count = words;
    return;
  }
  while (levels[0].count < words) levels[0].children[levels[0].count++] = (uint32_t)levels[1].count;
  for (int level = 0; level + 1 < order; ++level) levels[level].children[levels[level].count] = (uint32_t)levels[level + 1].count;
}

size_t ngrams_find(const uint32_t *words, size_t low, size_t high, uint32_t word) {
  const size_t end = high;
  // What is looked for next is often near: doubling steps first.
  size_t step = 1;
  while (low + step < high && words[low + step] <= word) {
    low += step;
    step *= 2;
  }
  if (low + step < high) high = low + step;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (words[middle] < word) low = middle + 1;
    else high = middle;
  }
  return low < end && words[low] == word ? low : SIZE_MAX;
}
