#include "exponential.h"

typedef struct {
  vector input, forget, candidate, output, cell, tanh_cell;
} unit_state;

/// Gates from their sums, and what they make of the cell before. One division for two functions.
INLINE unit_state advance(vector input, vector forget, vector candidate, vector output, vector cell) {
  unit_state now;
  const vector i = exponential(bounded(-input)) + 1, f = exponential(bounded(-forget)) + 1;
  const vector o = exponential(bounded(-output)) + 1, g = exponential_less_one(bounded(2 * candidate));
  const vector of_i_f = 1 / (i * f), of_o_g = 1 / (o * (g + 2));
  now.input = of_i_f * f;
  now.forget = of_i_f * i;
  now.output = of_o_g * (g + 2);
  now.candidate = g * of_o_g * o;
  now.cell = now.forget * cell + now.input * now.candidate;
  const vector c = exponential_less_one(bounded(2 * now.cell));
  now.tanh_cell = c / (c + 2);
  return now;
}

INLINE void forward_part(const long count, long hidden, float *gates, const float *bias, const float *before,
    float *cells, float *tanh_cell, float *output, float *next) {
  vector sums[4];
  UNROLL for (int gate = 0; gate < 4; gate++) sums[gate] = LOAD(gates + gate * hidden) + LOAD(bias + gate * hidden);
  const unit_state now = advance(sums[0], sums[1], sums[2], sums[3], LOAD(before));
  STORE(now.input, gates);
  STORE(now.forget, gates + hidden);
  STORE(now.candidate, gates + 2 * hidden);
  STORE(now.output, gates + 3 * hidden);
  STORE(now.cell, cells);
  STORE(now.tanh_cell, tanh_cell);
  STORE(now.output * now.tanh_cell, output);
  if (next) STORE(now.output * now.tanh_cell, next);
}

INLINE void backward_part(const long count, long hidden, float *gates, const float *before, const float *tanh_cell,
    const float *output_gradient, const float *hidden_gradient, float *cell_gradient, float *bias_gradient) {
  const vector i = LOAD(gates), f = LOAD(gates + hidden), g = LOAD(gates + 2 * hidden), o = LOAD(gates + 3 * hidden);
  const vector t = LOAD(tanh_cell);
  const vector dh = LOAD(output_gradient) + LOAD(hidden_gradient);
  const vector dc = LOAD(cell_gradient) + dh * o * (1 - t * t);
  const vector gradients[4] = {
      dc * g * i * (1 - i), dc * LOAD(before) * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)};
  UNROLL for (int gate = 0; gate < 4; gate++) {
    STORE(gradients[gate], gates + gate * hidden);
    STORE(LOAD(bias_gradient + gate * hidden) + gradients[gate], bias_gradient + gate * hidden);
  }
  STORE(dc * f, cell_gradient);
}

INLINE void forward(long lanes, long units, long hidden, float *gates, long gates_row, const float *bias,
    const float *before, float *cells, float *tanh_cell, float *output, float *next) {
  for (long lane = 0; lane < lanes; lane++) {
    const long place = lane * hidden;
    float *row = gates + lane * gates_row;
    long unit = 0;
    for (; unit + vector_floats <= units; unit += vector_floats) {
      forward_part(vector_floats, hidden, row + unit, bias + unit, before + place + unit, cells + place + unit,
          tanh_cell + place + unit, output + place + unit, next ? next + place + unit : NULL);
    }
    if (unit < units) {
      forward_part(units - unit, hidden, row + unit, bias + unit, before + place + unit, cells + place + unit,
          tanh_cell + place + unit, output + place + unit, next ? next + place + unit : NULL);
    }
  }
}

INLINE void backward(long lanes, long units, long hidden, float *gates, long gates_row, const float *before,
    const float *tanh_cell, const float *output_gradient, const float *hidden_gradient, float *cell_gradient,
    float *bias_gradient) {
  for (long lane = 0; lane < lanes; lane++) {
    const long place = lane * hidden;
    float *row = gates + lane * gates_row;
    long unit = 0;
    for (; unit + vector_floats <= units; unit += vector_floats) {
      backward_part(vector_floats, hidden, row + unit, before + place + unit, tanh_cell + place + unit,
          output_gradient + place + unit, hidden_gradient + place + unit, cell_gradient + place + unit,
          bias_gradient + unit);
    }
    if (unit < units) {
      backward_part(units - unit, hidden, row + unit, before + place + unit, tanh_cell + place + unit,
          output_gradient + place + unit, hidden_gradient + place + unit, cell_gradient + place + unit,
          bias_gradient + unit);
    }
  }
}

#define FORWARD_PARAMETERS \
  long lanes, long units, long hidden, float *gates, long gates_row, const float *bias, const float *before, \
      float *cells, float *tanh_cell, float *output, float *next
#define BACKWARD_PARAMETERS \
  long lanes, long units, long hidden, float *gates, long gates_row, const float *before, const float *tanh_cell, \
      const float *output_gradient, const float *hidden_gradient, float *cell_gradient, float *bias_gradient
#define FORWARD(set) forward##set(lanes, units, hidden, gates, gates_row, bias, before, cells, tanh_cell, output, next)
#define BACKWARD(set) \
  backward##set(lanes, units, hidden, gates, gates_row, before, tanh_cell, output_gradient, hidden_gradient, \
      cell_gradient, bias_gradient)
#define DEFINE(set, attribute) \
  attribute static void forward##set(FORWARD_PARAMETERS) { FORWARD(); } \
  attribute static void backward##set(BACKWARD_PARAMETERS) { BACKWARD(); }

#if defined(__x86_64__)
DEFINE(_avx512, AVX512)
DEFINE(_avx2, AVX2)
#endif
DEFINE(_any, )

void lockstep_lstm_forward(lockstep_instructions instructions, FORWARD_PARAMETERS) {
  DISPATCH(instructions, FORWARD)
}

void lockstep_lstm_backward(lockstep_instructions instructions, BACKWARD_PARAMETERS) {
  DISPATCH(instructions, BACKWARD)
}
