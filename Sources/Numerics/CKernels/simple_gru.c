#include "exponential.h"

INLINE void forward_part(const long count, long hidden, float *gates, const float *bias, const float *before,
    float *output, float *next) {
  const vector update = sigmoid(LOAD(gates) + LOAD(bias));
  const vector candidate = hyperbolic_tangent(LOAD(gates + hidden) + LOAD(bias + hidden));
  const vector h = LOAD(before);
  const vector now = h + update * (candidate - h);
  STORE(update, gates);
  STORE(candidate, gates + hidden);
  STORE(now, output);
  if (next) STORE(now, next);
}

INLINE void backward_part(const long count, long hidden, float *gates, const float *before, const float *output_gradient,
    float *hidden_gradient, float *bias_gradient) {
  const vector u = LOAD(gates), n = LOAD(gates + hidden);
  const vector dh = LOAD(output_gradient) + LOAD(hidden_gradient);
  const vector du = dh * (n - LOAD(before)) * u * (1 - u), dn = dh * u * (1 - n * n);
  STORE(du, gates);
  STORE(dn, gates + hidden);
  STORE(LOAD(bias_gradient) + du, bias_gradient);
  STORE(LOAD(bias_gradient + hidden) + dn, bias_gradient + hidden);
  STORE(dh * (1 - u), hidden_gradient);
}

INLINE void forward(long rows, long units, long hidden, float *gates, long gates_row, const float *bias,
    const float *before, float *output, float *next) {
  for (long row = 0; row < rows; row++) {
    const long place = row * hidden;
    for (long unit = 0; unit < units; unit += vector_floats) {
      const long left = units - unit;
      float *here = gates + row * gates_row + unit;
      float *following = next ? next + place + unit : NULL;
      if (left >= vector_floats) {
        forward_part(
            vector_floats, hidden, here, bias + unit, before + place + unit, output + place + unit, following);
      } else {
        forward_part(left, hidden, here, bias + unit, before + place + unit, output + place + unit, following);
      }
    }
  }
}

INLINE void backward(long rows, long units, long hidden, float *gates, long gates_row, const float *before,
    const float *output_gradient, float *hidden_gradient, float *bias_gradient) {
  for (long row = 0; row < rows; row++) {
    const long place = row * hidden;
    for (long unit = 0; unit < units; unit += vector_floats) {
      const long left = units - unit;
      float *here = gates + row * gates_row + unit;
      if (left >= vector_floats) {
        backward_part(vector_floats, hidden, here, before + place + unit, output_gradient + place + unit,
            hidden_gradient + place + unit, bias_gradient + unit);
      } else {
        backward_part(left, hidden, here, before + place + unit, output_gradient + place + unit,
            hidden_gradient + place + unit, bias_gradient + unit);
      }
    }
  }
}

#define FORWARD_PARAMETERS \
  long rows, long units, long hidden, float *gates, long gates_row, const float *bias, const float *before, \
      float *output, float *next
#define BACKWARD_PARAMETERS \
  long rows, long units, long hidden, float *gates, long gates_row, const float *before, \
      const float *output_gradient, float *hidden_gradient, float *bias_gradient
#define FORWARD(set) forward##set(rows, units, hidden, gates, gates_row, bias, before, output, next)
#define BACKWARD(set) \
  backward##set(rows, units, hidden, gates, gates_row, before, output_gradient, hidden_gradient, bias_gradient)
#define DEFINE(set, attribute) \
  attribute static void forward##set(FORWARD_PARAMETERS) { FORWARD(); } \
  attribute static void backward##set(BACKWARD_PARAMETERS) { BACKWARD(); }

#if defined(__x86_64__)
DEFINE(_avx512, AVX512)
DEFINE(_avx2, AVX2)
#endif
DEFINE(_any, )

void lockstep_simple_gru_forward(lockstep_instructions instructions, FORWARD_PARAMETERS) {
  DISPATCH(instructions, FORWARD)
}

void lockstep_simple_gru_backward(lockstep_instructions instructions, BACKWARD_PARAMETERS) {
  DISPATCH(instructions, BACKWARD)
}
