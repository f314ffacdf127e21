// Hashes and tables of KenLM's binary files of the kind "probing".
//
// An n-gram is found by a hash alone: that of a word is its number in the file, that of a longer n-gram is chained from
// the n-gram without its first word. A table has room for more entries than there are, each of a hash and some numbers
// after it; an entry stands at the remainder of its hash or at the first free place after that. A hash of 0 is a free
// place.
#ifndef KENLM_H
#define KENLM_H

#include <stddef.h>
#include <stdint.h>

#define KENLM_HASH_FACTOR UINT64_C(8978948897894561157)
#define KENLM_WORD_FACTOR UINT64_C(17894857484156487943)

// What a word adds to the hash of an n-gram that it stands before.
static inline uint64_t kenlm_term(uint32_t id) { return (uint64_t)(id + UINT32_C(1)) * KENLM_WORD_FACTOR; }

// The hash of an n-gram with another word before it.
static inline uint64_t kenlm_longer(uint64_t hash, uint32_t id) { return (hash * KENLM_HASH_FACTOR) ^ kenlm_term(id); }

// The hash of an n-gram, of the numbers of its words from the first to the last; `difference` is taken from each.
uint64_t kenlm_hash(const uint32_t *words, size_t count, uint32_t difference);

// The hash of the bytes of a word.
uint64_t kenlm_word_hash(const void *bytes, size_t count);

// Some entries of `stride` bytes.
typedef struct {
  uint8_t *entries;
  size_t buckets;
  size_t stride;
} kenlm_table;

// Where the entry of a hash stands, or the free place where it belongs; NULL where there is neither.
uint8_t *kenlm_find(const kenlm_table *table, uint64_t hash);

// How many places are not free. Writes the hash and the place of each, unless `entries` is NULL.
size_t kenlm_collect(const uint8_t *table, size_t buckets, size_t stride, uint64_t *entries);

// Hashes of the n-grams of one order, to be found. `entries` are pairs of a hash and a place, sorted.
typedef struct {
  const uint64_t *entries;
  size_t count;
  uint64_t *filter;  // has a bit for the first bits of each hash
  int filter_bits;   // 6 and more
  uint32_t *starts;  // by the first bits of a hash, where those begin, and one more
  int start_bits;    // 1 and more
  uint64_t *seen;    // has a bit for each entry that was found
  size_t seen_count;
} kenlm_index;

// Fills the filter, which is 0 at first, and the starts.
void kenlm_fill_index(kenlm_index *index);

// Some n-grams of one order, and where they stand among the others.
enum { KENLM_EXTENDS = 1, KENLM_IS_CONTEXT = 2 };
typedef struct {
  const uint64_t *hashes;
  const uint32_t *words;  // the first of each
  const uint8_t *marks;   // KENLM_EXTENDS where longer ones end with it, KENLM_IS_CONTEXT where they begin with it
} kenlm_ngrams;

// Writes what the hashes of longer n-grams that end with some n-grams are made of before the first word is added, and
// after each the place of the n-gram. Returns for how many: those that longer ones end with.
size_t kenlm_lasts(const kenlm_ngrams *ngrams, const uint32_t *places, size_t count, uint64_t *lasts);

// The same of the n-grams from `start` on for the first words of longer ones that begin with them; `terms` has for each
// word what it adds to a hash.
size_t kenlm_firsts(const kenlm_ngrams *ngrams, size_t start, size_t end, const uint64_t *terms, uint64_t *firsts);

// Finds pairs of one of `lasts` and one of `firsts`, from the functions above, that make a hash of the index. Faster
// where both are sorted. Writes for each pair both places as one number, the last first, and the place in the index.
// Returns how many are written, or a number above `capacity` where there are more.
size_t kenlm_find_pairs(
  const uint64_t *lasts, size_t last_count, const uint64_t *firsts, size_t first_count, kenlm_index *index,
  uint64_t *pairs, size_t capacity);

#endif
