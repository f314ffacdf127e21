#include "kenlm.h"

#include <string.h>

uint64_t kenlm_hash(const uint32_t *words, size_t count, uint32_t difference) {
  uint64_t hash = words[count - 1] - difference;
  for (size_t i = count - 1; i > 0; --i) hash = kenlm_longer(hash, words[i - 1] - difference);
  return hash;
}

// MurmurHash64A of Austin Appleby, with the seed 0.
uint64_t kenlm_word_hash(const void *bytes, size_t count) {
  const uint64_t factor = UINT64_C(0xc6a4a7935bd1e995);
  const uint8_t *next = bytes;
  uint64_t hash = count * factor;
  size_t left = count;
  for (; left >= 8; left -= 8, next += 8) {
    uint64_t limb;
    memcpy(&limb, next, 8);
    limb *= factor;
    limb = (limb ^ limb >> 47) * factor;
    hash = (hash ^ limb) * factor;
  }
  if (left > 0) {
    uint64_t limb = 0;
    memcpy(&limb, next, left);
    hash = (hash ^ limb) * factor;
  }
  hash = (hash ^ hash >> 47) * factor;
  return hash ^ hash >> 47;
}

static inline uint64_t hash_at(const uint8_t *entry) {
  uint64_t hash;
  memcpy(&hash, entry, sizeof hash);
  return hash;
}

uint8_t *kenlm_find(const kenlm_table *table, uint64_t hash) {
  size_t place = hash % table->buckets;
  for (size_t tried = 0; tried < table->buckets; ++tried) {
    uint8_t *entry = table->entries + place * table->stride;
    const uint64_t found = hash_at(entry);
    if (found == hash || found == 0) return entry;
    if (++place == table->buckets) place = 0;
  }
  return NULL;
}

size_t kenlm_collect(const uint8_t *table, size_t buckets, size_t stride, uint64_t *entries) {
  size_t count = 0;
  for (size_t place = 0; place < buckets; ++place) {
    const uint64_t hash = hash_at(table + place * stride);
    if (hash == 0) continue;
    if (entries != NULL) {
      entries[2 * count] = hash;
      entries[2 * count + 1] = place;
    }
    ++count;
  }
  return count;
}

void kenlm_fill_index(kenlm_index *index) {
  const size_t start_count = (size_t)1 << index->start_bits;
  size_t start = 0;
  for (size_t i = 0; i < index->count; ++i) {
    const uint64_t hash = index->entries[2 * i];
    const uint64_t bit = hash >> (64 - index->filter_bits);
    index->filter[bit / 64] |= UINT64_C(1) << bit % 64;
    const size_t own = hash >> (64 - index->start_bits);
    for (; start <= own; ++start) index->starts[start] = (uint32_t)i;
  }
  for (; start <= start_count; ++start) index->starts[start] = (uint32_t)index->count;
}

static inline int may_have(const uint64_t *filter, int shift, uint64_t hash) {
  const uint64_t bit = hash >> shift;
  return filter[bit / 64] >> bit % 64 & 1;
}

// The place of an entry, which is marked as seen, or SIZE_MAX.
static size_t find_entry(kenlm_index *index, uint64_t hash) {
  const size_t bucket = hash >> (64 - index->start_bits);
  size_t low = index->starts[bucket];
  const size_t bucket_end = index->starts[bucket + 1];
  size_t high = bucket_end;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (index->entries[2 * middle] < hash) low = middle + 1; else high = middle;
  }
  if (low == bucket_end || index->entries[2 * low] != hash) return SIZE_MAX;
  const uint64_t bit = UINT64_C(1) << low % 64;
  if (!(index->seen[low / 64] & bit)) ++index->seen_count;
  index->seen[low / 64] |= bit;
  return low;
}

size_t kenlm_lasts(const kenlm_ngrams *ngrams, const uint32_t *places, size_t count, uint64_t *lasts) {
  size_t written = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!(ngrams->marks[places[i]] & KENLM_EXTENDS)) continue;
    lasts[2 * written] = ngrams->hashes[places[i]] * KENLM_HASH_FACTOR;
    lasts[2 * written + 1] = places[i];
    ++written;
  }
  return written;
}

size_t kenlm_firsts(const kenlm_ngrams *ngrams, size_t start, size_t end, const uint64_t *terms, uint64_t *firsts) {
  size_t written = 0;
  for (size_t i = start; i < end; ++i) {
    if (!(ngrams->marks[i] & KENLM_IS_CONTEXT)) continue;
    firsts[2 * written] = terms[ngrams->words[i]];
    firsts[2 * written + 1] = i;
    ++written;
  }
  return written;
}

// Few pairs make a hash of the index, but most of the time would go into waiting for memory that tells so, and into
// guessing branches wrong: so what may be one is first listed without a branch, then looked for all at once.
enum { NEIGHBOURS = 256 };

static size_t list_pairs(
  uint64_t value, const uint64_t *firsts, size_t count, const uint64_t *filter, int shift, uint16_t *list) {
  size_t listed = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t bit = (value ^ firsts[2 * i]) >> shift;
    list[listed] = (uint16_t)i;
    listed += filter[bit / 64] >> bit % 64 & 1;
  }
  return listed;
}

static void prefetch(
  const kenlm_index *index, uint64_t value, const uint64_t *firsts, const uint16_t *list, size_t count) {
  const int shift = 64 - index->start_bits;
  for (size_t i = 0; i < count; ++i) __builtin_prefetch(index->starts + ((value ^ firsts[2 * list[i]]) >> shift));
  for (size_t i = 0; i < count; ++i) {
    __builtin_prefetch(index->entries + 2 * (size_t)index->starts[(value ^ firsts[2 * list[i]]) >> shift]);
  }
}

size_t kenlm_find_pairs(
  const uint64_t *lasts, size_t last_count, const uint64_t *firsts, size_t first_count, kenlm_index *index,
  uint64_t *pairs, size_t capacity) {
  // Hashes of a few sorted neighbours begin with the same bits: those parts of the filter stay in the cache.
  uint16_t list[NEIGHBOURS + 1];
  size_t count = 0;
  for (size_t start = 0; start < first_count; start += NEIGHBOURS) {
    const uint64_t *some = firsts + 2 * start;
    const size_t some_count = first_count - start < NEIGHBOURS ? first_count - start : NEIGHBOURS;
    for (size_t last = 0; last < last_count; ++last) {
      const uint64_t value = lasts[2 * last];
      const size_t listed = list_pairs(value, some, some_count, index->filter, 64 - index->filter_bits, list);
      if (listed > 1) prefetch(index, value, some, list, listed);
      for (size_t i = 0; i < listed; ++i) {
        const uint64_t *first = some + 2 * list[i];
        const size_t place = find_entry(index, value ^ *first);
        if (place == SIZE_MAX) continue;
        if (count == capacity) return capacity + 1;
        pairs[2 * count] = lasts[2 * last + 1] << 32 | first[1];
        pairs[2 * count + 1] = place;
        ++count;
      }
    }
  }
  return count;
}
