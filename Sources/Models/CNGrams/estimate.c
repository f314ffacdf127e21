#include "ngrams.h"

void ngrams_add_to_contexts(
  const ngrams_level *level, const ngrams_level *below, const ngrams_level *grand, const uint32_t *contexts_below,
  const float *lower, const uint64_t *discounts, size_t discount_count, uint64_t unit, const uint8_t *pruned,
  uint32_t *contexts, ngrams_sums *sums) {
  for (size_t parent = 0; parent < below->count; ++parent) {
    const size_t end = below->children[parent + 1];
    size_t at = below->children[parent];
    if (at == end) continue;
    const uint64_t probability = (uint64_t)((double)lower[parent] * 0x1p60);
    // What stands below the context of the parent is sorted as what stands below the parent is.
    size_t low = 0, high = 0;
    if (contexts_below) {
      low = grand->children[contexts_below[parent]];
      high = grand->children[contexts_below[parent] + 1];
    }
    for (; at < end; ++at) {
      const uint32_t word = level->words[at];
      size_t context = word;
      if (contexts_below) context = low = ngrams_find(below->words, low, high, word);
      contexts[at] = (uint32_t)context;
      const uint32_t count = level->counts[at];
      ngrams_sums *sum = sums + context;
      sum->count += count;
      ++sum->types;
      if (pruned && pruned[at]) {
        sum->discount += count * unit;
        continue;
      }
      if (count > 0) sum->discount += discounts[count <= discount_count ? count - 1 : discount_count - 1];
      sum->lower += probability;
      ++sum->kept;
    }
  }
}

void ngrams_estimate(
  const ngrams_level *level, const ngrams_level *below, const float *lower, const double *discounts,
  size_t discount_count, const uint32_t *contexts, const ngrams_rule *rules, float *probabilities) {
  for (size_t parent = 0; parent < below->count; ++parent) {
    const double probability = lower[parent];
    for (size_t at = below->children[parent]; at < below->children[parent + 1]; ++at) {
      const uint32_t count = level->counts[at];
      const double taken = count > 0 ? discounts[count <= discount_count ? count - 1 : discount_count - 1] : 0;
      const ngrams_rule *rule = rules + contexts[at];
      probabilities[at] = (float)((count - taken) * rule->factor + rule->kept * probability);
    }
  }
}
