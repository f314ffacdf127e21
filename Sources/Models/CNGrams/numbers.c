#include "ngrams.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

float ngrams_number(const char *bytes, size_t count) {
  char text[64];
  if (count == 0 || count >= sizeof text) return NAN;
  // Most numbers are a sign and up to 18 digits with a point among them: exact in a double.
  static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  size_t at = bytes[0] == '-';
  uint64_t digits = 0;
  size_t decimals = 0;
  int seen = 0, point = 0;
  for (; at < count; ++at) {
    const char c = bytes[at];
    if (c >= '0' && c <= '9' && seen < 15) {
      digits = digits * 10 + (uint64_t)(c - '0');
      ++seen;
      decimals += (size_t)point;
    } else if (c == '.' && !point) {
      point = 1;
    } else {
      break;
    }
  }
  if (at == count && seen > 0) {
    const double value = (double)digits / powers[decimals];
    return (float)(bytes[0] == '-' ? -value : value);
  }
  for (size_t i = 0; i < count; ++i) {
    // Neither hexadecimal numbers nor names: strtof knows more than files have.
    if (!strchr("0123456789+-.eE", bytes[i])) return NAN;
  }
  memcpy(text, bytes, count);
  text[count] = 0;
  char *end;
  const float value = strtof(text, &end);
  return end == text + count ? value : NAN;
}

size_t ngrams_digits(float number, char *bytes) {
  const float size = fabsf(number);
  if (size == 0) {
    bytes[0] = '0';
    return 1;
  }
  if (size < 0x1p-10f || size >= 1024.0f) return (size_t)snprintf(bytes, NGRAMS_DIGITS, "%.9g", (double)number);
  // As many decimals as tell neighbours apart, which are 2^-24 of a number from it, less than twice.
  const int most = size < 0.125f ? 10 : 8;
  uint64_t value = (uint64_t)((double)size * (most == 10 ? 1e10 : 1e8) + 0.5);
  int decimals = most;
  for (; decimals > 0 && value % 10 == 0; --decimals) value /= 10;
  char digits[24];
  int count = 0;
  do {
    if (decimals == 0 && count > 0) digits[count++] = '.';
    digits[count++] = (char)('0' + value % 10);
    value /= 10;
    --decimals;
  } while (value > 0 || decimals >= 0);
  size_t length = 0;
  if (number < 0) bytes[length++] = '-';
  while (count > 0) bytes[length++] = digits[--count];
  return length;
}
