#include "ngrams.h"

// Where a word stands among the children of an n-gram. Halves the range without a branch that depends on what is found.
#define FIND(TYPE)                                                                                       \
  static inline size_t find_##TYPE(const TYPE *words, size_t low, size_t count, TYPE word) {              \
    const TYPE *first = words + low;                                                                     \
    while (count > 1) {                                                                                  \
      const size_t half = count / 2;                                                                     \
      first += half & -(size_t)(first[half] <= word);                                                     \
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

// The text with the word added; `after` may be `before`.
static void keep(
  const ngrams_table *levels, int order, const size_t *places, int length, uint32_t word, const ngrams_state *before,
  ngrams_state *after) {
  const int kept = length < order ? length : order - 1;
  for (int i = kept - 1; i > 0; --i) after->words[i] = before->words[i - 1];
  if (kept > 0) after->words[0] = word;
  for (int i = 0; i < kept; ++i) after->backoffs[i] = ngrams_backoff(levels + i, places[i]);
  after->length = kept;
}

float ngrams_score(
  const ngrams_table *levels, int order, uint32_t word, const ngrams_state *state, ngrams_state *next, int *matched) {
  size_t places[NGRAMS_MOST_ORDER];
  const int length = walk(levels, order, word, state, places);
  const float result = after_backoff(levels + length - 1, places[length - 1], length, state);
  keep(levels, order, places, length, word, state, next);
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

enum { AT_ONCE = 32 };

void ngrams_score_text(
  const ngrams_table *levels, int order, const int32_t *tokens, size_t count, int32_t end, const ngrams_state *sentence,
  ngrams_state *state, float *results, uint8_t *matched) {
  // The words before each token, as far back as a model looks: what the model has of them is found again by the walk.
  ngrams_state texts[AT_ONCE + 1];
  size_t places[AT_ONCE][NGRAMS_MOST_ORDER];
  int lengths[AT_ONCE];
  for (size_t first = 0; first < count; first += AT_ONCE) {
    const int here = count - first < AT_ONCE ? (int)(count - first) : AT_ONCE;
    texts[0] = *state;
    for (int i = 0; i < here; ++i) {
      const int32_t token = tokens[first + i];
      lengths[i] = 1;
      places[i][0] = (uint32_t)token + 1;
      if (token == end) {
        texts[i + 1] = *sentence;
        continue;
      }
      const int length = texts[i].length + 1 < order ? texts[i].length + 1 : order - 1;
      texts[i + 1].length = length;
      for (int j = length - 1; j > 0; --j) texts[i + 1].words[j] = texts[i].words[j - 1];
      if (length > 0) texts[i + 1].words[0] = (uint32_t)token + 1;
    }
    for (int level = 1; level < order; ++level) {
      const ngrams_table *below = levels + level - 1;
      for (int i = 0; i < here; ++i) {
        if (lengths[i] != level || level > texts[i].length) continue;
        const size_t place = places[i][level - 1];
        const size_t found = find(below + 1, below->children[place], below->children[place + 1], texts[i].words[level - 1]);
        if (found == SIZE_MAX) continue;
        places[i][level] = found;
        lengths[i] = level + 1;
      }
    }
    for (int i = 0; i < here; ++i) {
      const size_t *own = places[i];
      const int length = lengths[i];
      float sum = levels[length - 1].probabilities[own[length - 1]];
      if (i == 0 || tokens[first + i - 1] == end) {
        const ngrams_state *before = i == 0 ? state : sentence;
        for (int context = length; context <= before->length; ++context) sum += before->backoffs[context - 1];
      } else {
        const int known = lengths[i - 1] < order ? lengths[i - 1] : order - 1;
        for (int context = length; context <= known; ++context) {
          sum += ngrams_backoff(levels + context - 1, places[i - 1][context - 1]);
        }
      }
      results[first + i] = sum;
      matched[first + i] = (uint8_t)length;
    }
    if (tokens[first + here - 1] == end) *state = *sentence;
    else keep(levels, order, places[here - 1], lengths[here - 1], (uint32_t)tokens[first + here - 1] + 1, texts + here - 1, state);
  }
}
