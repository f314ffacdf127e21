#include "ngrams.h"

// Where a word stands among the children of an n-gram. Halves the range without a branch that depends on what is found.
#define FIND(TYPE)                                                                                       \
  static inline size_t find_##TYPE(const TYPE *words, size_t low, size_t count, TYPE word) {              \
    const TYPE *first = words + low;                                                                     \
    while (count > 1) {                                                                                  \
      const size_t half = count / 2;                                                                     \
      first = first[half] <= word ? first + half : first;                                                \
      count -= half;                                                                                     \
    }                                                                                                    \
    return count == 1 && *first == word ? (size_t)(first - words) : SIZE_MAX;                            \
  }
FIND(uint8_t)
FIND(uint16_t)
FIND(uint32_t)

static inline size_t find(const ngrams_table *level, size_t low, size_t high, uint32_t word) {
  // Numbers of a damaged file lead nowhere else.
  if (high > level->count) high = level->count;
  if (low >= high) return SIZE_MAX;
  switch (level->word_size) {
    case 1: return find_uint8_t(level->words, low, high - low, (uint8_t)word);
    case 2: return find_uint16_t(level->words, low, high - low, (uint16_t)word);
    default: return find_uint32_t(level->words, low, high - low, word);
  }
}

float ngrams_backoff(const ngrams_table *level, size_t place) {
  size_t code = 0;
  switch (level->code_size) {
    case 1: code = ((const uint8_t *)level->codes)[place]; break;
    case 2: code = ((const uint16_t *)level->codes)[place]; break;
    default: code = ((const uint32_t *)level->codes)[place];
  }
  return level->backoffs[code < level->backoff_count ? code : 0];
}

// Walks from a word back through the text as far as there are n-grams. Returns how far, and where the last stands.
static inline int walk(
  const ngrams_table *levels, int order, uint32_t word, const ngrams_state *state, size_t *places) {
  places[0] = word;
  int length = 1;
  while (length < order && length <= state->length) {
    const ngrams_table *level = levels + length - 1;
    const size_t place = places[length - 1];
    const size_t found = find(level + 1, level->children[place], level->children[place + 1], state->words[length - 1]);
    if (found == SIZE_MAX) break;
    places[length++] = found;
  }
  return length;
}

static inline float after_backoff(const ngrams_table *level, size_t place, int length, const ngrams_state *state) {
  float sum = level->probabilities[place];
  for (int context = length; context <= state->length; ++context) sum += state->backoffs[context - 1];
  return sum;
}

float ngrams_score(
  const ngrams_table *levels, int order, uint32_t word, const ngrams_state *state, ngrams_state *next, int *matched) {
  size_t places[NGRAMS_MOST_ORDER];
  const int length = walk(levels, order, word, state, places);
  const float result = after_backoff(levels + length - 1, places[length - 1], length, state);
  const int kept = length < order ? length : order - 1;
  for (int i = kept - 1; i > 0; --i) next->words[i] = state->words[i - 1];
  if (kept > 0) next->words[0] = word;
  for (int i = 0; i < kept; ++i) next->backoffs[i] = ngrams_backoff(levels + i, places[i]);
  next->length = kept;
  *matched = length;
  return result;
}

void ngrams_distribution(
  const ngrams_table *levels, int order, uint32_t words, const ngrams_state *state, float *probabilities) {
  size_t places[NGRAMS_MOST_ORDER];
  for (uint32_t word = 1; word <= words; ++word) {
    const int length = walk(levels, order, word, state, places);
    probabilities[word - 1] = after_backoff(levels + length - 1, places[length - 1], length, state);
  }
}
