#include "ngrams.h"

#include <string.h>

static inline uint32_t word_of(const ngrams_table *level, size_t place) {
  switch (level->word_size) {
    case 1: return ((const uint8_t *)level->words)[place];
    case 2: return ((const uint16_t *)level->words)[place];
    default: return ((const uint32_t *)level->words)[place];
  }
}

void ngrams_words(const ngrams_table *levels, ngrams_cursor *cursor, uint32_t *words) {
  const int order = cursor->order;
  size_t above = cursor->place;
  for (int level = order - 1; level > 0; --level) {
    words[order - 1 - level] = word_of(levels + level, above);
    // The n-gram below moves on to the one whose children these are.
    const ngrams_table *below = levels + level - 1;
    size_t end = cursor->ends[level - 1];
    while (end + 1 < below->count && below->children[end + 1] <= above) ++end;
    cursor->ends[level - 1] = end;
    above = end;
  }
  words[order - 1] = (uint32_t)above;
}

size_t ngrams_lines(
  const ngrams_table *levels, int highest, ngrams_cursor *cursor, const char *names, const size_t *starts,
  uint32_t begin, char *bytes, size_t capacity) {
  const int order = cursor->order;
  const ngrams_table *level = levels + order - 1;
  size_t written = 0;
  for (; cursor->place < level->count; ++cursor->place) {
    uint32_t words[NGRAMS_MOST_ORDER];
    ngrams_words(levels, cursor, words);
    size_t length = 2 * NGRAMS_DIGITS + 2;
    int named = 1;
    for (int i = 0; i < order; ++i) {
      const size_t size = words[i] <= begin ? starts[words[i] + 1] - starts[words[i]] : 0;
      named &= size > 0;
      length += size + 1;
    }
    if (!named) continue;
    if (length > capacity - written) break;
    char *at = bytes + written;
    at += ngrams_digits(order == 1 && words[0] == begin ? 0 : level->probabilities[cursor->place], at);
    for (int i = 0; i < order; ++i) {
      *at++ = i == 0 ? '\t' : ' ';
      const size_t start = starts[words[i]], size = starts[words[i] + 1] - start;
      memcpy(at, names + start, size);
      at += size;
    }
    if (order < highest) {
      *at++ = '\t';
      at += ngrams_digits(ngrams_backoff(level, cursor->place), at);
    }
    *at++ = '\n';
    written = (size_t)(at - bytes);
  }
  return written;
}
