// Sorting n-grams. A key is a number of `width` 64-bit words, the most significant first, that packs the words of an
// n-gram: the last word of the n-gram is the most significant. So the order of numbers is the order of the n-grams read
// backward, and n-grams with the same ending stand together.
#ifndef NGRAMS_H
#define NGRAMS_H

#include <stddef.h>
#include <stdint.h>

enum { NGRAMS_MOST_WIDTH = 6, NGRAMS_MOST_ORDER = 10 };

// Packs one key for each token of a text: the n-gram of `order` words that ends with it. A word takes `bits` bits and is
// its token and 1; 0 stands for no word. A sentence begins after `begin`, before which there is nothing, and closes with
// the token `end`. `last` is the key before the first, and the last key afterward: a text may come in pieces.
void ngrams_pack(
  const int32_t *tokens, size_t count, int order, int bits, int width, uint32_t begin, int32_t end, uint64_t *last,
  uint64_t *keys);

// The key of a sentence that has not begun but for the word `begin`.
void ngrams_begin(int bits, int width, uint32_t begin, uint64_t *key);

// Sorts keys by number; `scratch` is as large.
void ngrams_sort(uint64_t *keys, uint64_t *scratch, size_t count, int width);

// Joins equal neighbours of sorted keys in place. Writes how often each stood there, and returns how many are left.
size_t ngrams_unique(uint64_t *keys, uint64_t *counts, size_t count, int width);

// What is in memory of a sorted run of different keys and their counts.
typedef struct {
  const uint64_t *keys;
  const uint64_t *counts;
  size_t count;
  int goes_on;  // whether there is more of it elsewhere
} ngrams_run;

// Merges runs, whose keys it takes away, until `capacity` keys are written or more of a run is needed. Returns how many are
// written.
size_t ngrams_merge(
  ngrams_run *runs, int run_count, int width, uint64_t *keys, uint64_t *counts, size_t capacity);

// The n-grams of one order, sorted backward: below an n-gram stand those that are longer by one word before it.
typedef struct {
  uint32_t *words;     // the first word of each; level 1 has none, since it has an n-gram for each word in turn
  uint32_t *counts;
  uint32_t *children;  // where those of the next order begin that end with it, and one more; the last level has none
  size_t count;
} ngrams_level;

// Adds sorted, different keys to the levels, which have room for as many n-grams more. Level 1 has `words` n-grams, the first
// of the word `first`, and counts of 0 at first. `previous` is the key before these, all 0 at first, and the last of these
// afterward. With `continuation` what is counted of an n-gram is how many words it is seen after, but for the longest n-grams
// and for those that begin a sentence. Returns whether a count is too large for 32 bits.
int ngrams_add_to_levels(
  const uint64_t *keys, const uint64_t *counts, size_t count, int order, int bits, int width, uint32_t first,
  int continuation, uint64_t *previous, ngrams_level *levels);

// Closes the levels after the last key.
void ngrams_close_levels(int order, size_t words, ngrams_level *levels);

// What follows a context. Whole numbers, so that they are the same whatever the order that n-grams are added in.
typedef struct {
  uint64_t count;
  uint64_t discount;  // taken from the counts, 1 being `unit`
  uint64_t lower;     // probability after shorter contexts of the words seen, in units of 2^-60
  uint32_t types;     // words that were seen
  uint32_t kept;      // of these, those that are not pruned
} ngrams_sums;

// Finds the context of each n-gram of a level from the second on, all but its last word, among the n-grams of the level below,
// and adds the n-gram to what follows that context. `own_contexts` are the contexts of the level below; they and `grand`, the
// level two below, are not looked at for the second level. `discounts` has what is taken from a count of 1, 2 and so on, the
// last for all larger counts; `lower` the probabilities of the level below. From what `pruned` marks, which may be null, all is
// taken.
void ngrams_add_to_contexts(
  const ngrams_level *level, const ngrams_level *below, const ngrams_level *grand, const uint32_t *contexts_below,
  const float *lower, const uint64_t *discounts, size_t discount_count, uint64_t unit, const uint8_t *pruned,
  uint32_t *contexts, ngrams_sums *sums);

// How a context turns counts into probabilities: (count - discount) * factor + kept * probability after a shorter context.
typedef struct {
  double factor;
  double kept;
} ngrams_rule;

void ngrams_estimate(
  const ngrams_level *level, const ngrams_level *below, const float *lower, const double *discounts,
  size_t discount_count, const uint32_t *contexts, const ngrams_rule *rules, float *probabilities);

// The n-grams of one order in a model. Numbers are as in a file: those of words and codes take 1, 2 or 4 bytes.
typedef struct {
  size_t count;
  const void *words;  // the first word of each n-gram; level 1 has none
  int word_size;
  const uint32_t *children;  // as of a level; the last has none
  const float *probabilities;  // log10
  const void *codes;  // of each the place of its backoff in `backoffs`; the last level has none
  int code_size;
  const float *backoffs;  // log10
  size_t backoff_count;
} ngrams_table;

// What a model remembers of a text: the newest words first, of which the model has an n-gram, and what p is multiplied by where
// a word was not seen after the newest, the two newest and so on.
typedef struct {
  int length;
  uint32_t words[NGRAMS_MOST_ORDER];
  float backoffs[NGRAMS_MOST_ORDER];
} ngrams_state;

// log10 of the backoff of an n-gram that is not of the highest order.
float ngrams_backoff(const ngrams_table *level, size_t place);

// log10 p of a word after a text, and the text with it. `matched` is the order of the n-gram that told. `next` may be `state`.
// Safe for any numbers in the tables but `count`.
float ngrams_score(
  const ngrams_table *levels, int order, uint32_t word, const ngrams_state *state, ngrams_state *next, int *matched);

// The same of many tokens in turn, of which token t is the word t + 1; after the token `end` a text goes on from `sentence`.
// `state` is that before the first, and then that after the last. Several are looked up at once, so that the processor waits for
// memory once for all of them.
void ngrams_score_text(
  const ngrams_table *levels, int order, const int32_t *tokens, size_t count, int32_t end, const ngrams_state *sentence,
  ngrams_state *state, float *results, uint8_t *matched);

// The same for the words from 1 to `words`, which are not added to the text.
void ngrams_distribution(
  const ngrams_table *levels, int order, uint32_t words, const ngrams_state *state, float *probabilities);

// The number that some bytes are, in decimal digits and whatever the locale; NaN where they are none.
float ngrams_number(const char *bytes, size_t count);

// Writes a number so that it reads back the same, in at most NGRAMS_DIGITS bytes, and returns how many. Not for NaN.
enum { NGRAMS_DIGITS = 32 };
size_t ngrams_digits(float number, char *bytes);

// A way through the n-grams of one order, from the first to the last.
typedef struct {
  int order;
  size_t place;                      // of the n-gram, before `count` of its level
  size_t ends[NGRAMS_MOST_ORDER];    // where what it ends with stands in the levels below
} ngrams_cursor;

// The words of the n-gram that a cursor, which begins as all 0 but `order`, stands at, from the first to the last.
void ngrams_words(const ngrams_table *levels, ngrams_cursor *cursor, uint32_t *words);

// Writes n-grams from a cursor on as lines of an ARPA file, as many as there is room for, and moves the cursor behind them.
// Word w is called by the bytes of `names` from `starts[w]` to `starts[w + 1]`; n-grams with a word that is called by none are
// left out. `begin`, alone, is written with p of 1. `highest` is the order of the model. Returns the bytes written.
size_t ngrams_lines(
  const ngrams_table *levels, int highest, ngrams_cursor *cursor, const char *names, const size_t *starts,
  uint32_t begin, char *bytes, size_t capacity);

// Where a word stands in a sorted range of different words; SIZE_MAX where it does not.
size_t ngrams_find(const uint32_t *words, size_t low, size_t high, uint32_t word);

#endif
