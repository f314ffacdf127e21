#include "exponential.h"

INLINE vector value(lockstep_activation activation, vector x) {
  switch (activation) {
    case lockstep_tanh: return hyperbolic_tangent(x);
    case lockstep_relu: return x > 0 ? x : 0;
    default: return sigmoid(x);
  }
}

/// The slope where the function has the value `y`.
INLINE vector slope(lockstep_activation activation, vector y) {
  const vector one = 1, zero = 0;
  switch (activation) {
    case lockstep_tanh: return 1 - y * y;
    case lockstep_relu: return y > 0 ? one : zero;
    default: return y * (1 - y);
  }
}

INLINE void forward_all(lockstep_activation activation, long total, float *x) {
  for (long i = 0; i < total; i += vector_floats) {
    const long count = total - i < vector_floats ? total - i : vector_floats;
    STORE(value(activation, LOAD(x + i)), x + i);
  }
}

INLINE void backward_all(lockstep_activation activation, long total, const float *y, float *gradient) {
  for (long i = 0; i < total; i += vector_floats) {
    const long count = total - i < vector_floats ? total - i : vector_floats;
    STORE(LOAD(gradient + i) * slope(activation, LOAD(y + i)), gradient + i);
  }
}

#define FORWARD(set) forward##set(activation, count, x)
#define BACKWARD(set) backward##set(activation, count, y, gradient)
#define DEFINE(set, attribute) \
  attribute static void forward##set(lockstep_activation activation, long count, float *x) { \
    forward_all(activation, count, x); \
  } \
  attribute static void backward##set(lockstep_activation activation, long count, const float *y, float *gradient) { \
    backward_all(activation, count, y, gradient); \
  }

#if defined(__x86_64__)
DEFINE(_avx512, AVX512)
DEFINE(_avx2, AVX2)
#endif
DEFINE(_any, )

void lockstep_activate(lockstep_instructions instructions, lockstep_activation activation, long count, float *x) {
  DISPATCH(instructions, FORWARD)
}

void lockstep_activation_gradient(lockstep_instructions instructions, lockstep_activation activation, long count,
    const float *y, float *gradient) {
  DISPATCH(instructions, BACKWARD)
}
