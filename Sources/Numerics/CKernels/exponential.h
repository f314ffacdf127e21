// e^x and what is made of it.
#pragma once

#include "vectors.h"

/// Cody and Waite: x = n ln 2 + r with |r| <= ln 2 / 2, and e^r - 1 by its Taylor polynomial of degree 7.
typedef struct {
  vector power;  // e^r - 1
  vector scale;  // 2^n
} exponential_parts;

/// For |x| of at most 87; not a number for what is none. Relative error of e^x 1e-7.
INLINE exponential_parts split_exponential(vector x) {
  const float log2e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  const float round = 12582912.0f;  // 1.5 * 2^23: what is added to it loses its fraction
  const vector shifted = x * log2e + round;
  const vector n = shifted - round;
  const vector r = (x - n * ln2_high) - n * ln2_low;
  vector sum = 1.0f / 5040;
  sum = sum * r + 1.0f / 720;
  sum = sum * r + 1.0f / 120;
  sum = sum * r + 1.0f / 24;
  sum = sum * r + 1.0f / 6;
  sum = sum * r + 0.5f;
  sum = sum * r + 1;
  // The low bits of `shifted` are n: in the exponent's place they are 2^n.
  return (exponential_parts){sum * r, (vector)(((int_vector)shifted << 23) + 0x3f800000)};
}

INLINE vector exponential(vector x) {
  const exponential_parts parts = split_exponential(x);
  return parts.power * parts.scale + parts.scale;
}

/// e^x - 1, exact near 0 too.
INLINE vector exponential_less_one(vector x) {
  const exponential_parts parts = split_exponential(x);
  return parts.power * parts.scale + (parts.scale - 1);
}

/// Beyond it a gate is open, or shut, to the precision of what it lets through; and products of two exponentials do not
/// overflow.
INLINE vector bounded(vector x) {
  const vector most = 40;
  x = x < -most ? -most : x;
  return x > most ? most : x;
}

INLINE vector sigmoid(vector x) { return 1 / (exponential(bounded(-x)) + 1); }

INLINE vector hyperbolic_tangent(vector x) {
  const vector e = exponential_less_one(bounded(2 * x));
  return e / (e + 2);
}
