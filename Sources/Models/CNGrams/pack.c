#include "ngrams.h"

#include <string.h>

// The words of a key are kept as the key itself, so that the next key is this one moved down by a word.
static void push(uint64_t *key, int width, int bits, uint32_t word) {
  for (int i = width - 1; i > 0; --i) key[i] = key[i] >> bits | key[i - 1] << (64 - bits);
  key[0] = key[0] >> bits | (uint64_t)word << (64 - bits);
}

// Clears what is below the `order` words of a key.
static void cut(uint64_t *key, int width, int used) {
  for (int i = 0; i < width; ++i) {
    const int here = used - 64 * i;
    if (here <= 0) key[i] = 0;
    else if (here < 64) key[i] &= ~(uint64_t)0 << (64 - here);
  }
}

void ngrams_begin(int bits, int width, uint32_t begin, uint64_t *key) {
  memset(key, 0, width * sizeof(uint64_t));
  push(key, width, bits, begin);
}

void ngrams_pack(
  const int32_t *tokens, size_t count, int order, int bits, int width, uint32_t begin, int32_t end, uint64_t *last,
  uint64_t *keys) {
  const int used = order * bits;
  for (size_t i = 0; i < count; ++i) {
    push(last, width, bits, (uint32_t)tokens[i] + 1);
    cut(last, width, used);
    memcpy(keys + i * width, last, width * sizeof(uint64_t));
    if (tokens[i] == end) ngrams_begin(bits, width, begin, last);
  }
}
