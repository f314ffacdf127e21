// Innermost loops, compiled for several sets of instructions: Swift compiles for one, and has no names for them.
#pragma once

#include <stdbool.h>

#pragma clang assume_nonnull begin

/// Sets of instructions that the loops are compiled for. Any but the first only where the processor has it.
typedef enum {
  lockstep_any_processor,
  lockstep_avx2,
  lockstep_avx512,
} lockstep_instructions;

/// Columns of a panel; those of a matrix's last one are as many as are left, up to a multiple of `lockstep_panel_step`.
enum { lockstep_panel_columns = 32, lockstep_panel_step = 16 };

/// Floats of the panels of a matrix: `lockstep_pack_panels` writes as many.
long lockstep_panel_floats(long depth, long columns);

/// Lays out `b` [depth, columns], its rows `b_row` floats apart and its columns `b_column` (one of them is 1), in panels:
/// each [depth, panel columns], one after the other, zeros where `b` has no columns any more.
void lockstep_pack_panels(lockstep_instructions instructions, long depth, long columns, const float *b, long b_row,
    long b_column, float *panels);

/// `c = a b` for one panel of `b`, or `c += a b` if `adding`.
///
/// `a` [rows, depth], its rows `a_row` floats apart; `panel` [depth, panel columns]; `c` [rows, columns], its rows `c_row`
/// floats apart. `columns` may be fewer than the panel has. Each number of `c` is summed from zero in the
/// order of `depth`, whatever the other sizes are, before it is added.
void lockstep_multiply_panel(lockstep_instructions instructions, long rows, long columns, long depth, const float *a,
    long a_row, const float *panel, bool adding, float *c, long c_row);

/// `to` [columns, rows] = `from` [rows, columns] transposed; their rows `to_row` and `from_row` floats apart.
void lockstep_transpose(lockstep_instructions instructions, long rows, long columns, const float *from, long from_row,
    float *to, long to_row);

/// Of each column of `x` [rows, columns] (rows `x_row` floats apart, `columns` a multiple of `lockstep_panel_step`) with
/// `bias[row]` added: the largest number into `largest`, `exp(x - largest)` into its place, their sum into `sums`.
void lockstep_exponentials(lockstep_instructions instructions, long rows, long columns, float *x, long x_row,
    const float *bias, float *largest, float *sums);

/// `x *= factors`, a factor for each column; the sum of each row into `sums`. Shapes as above.
void lockstep_scale_columns(lockstep_instructions instructions, long rows, long columns, float *x, long x_row,
    const float *factors, float *sums);

/// One step of an LSTM layer, of `units` of its `hidden` units, in each lane.
///
/// `gates` [lanes, 4 x hidden], rows `gates_row` floats apart, in the order input, forget, candidate, output: their sums
/// come in, without `bias` [4 x hidden], their values go out. `before` is the cell state before; `cells` that after,
/// `tanh_cell` its tanh, `output` the hidden state, `next` a second place for it or null: [lanes, hidden]. Pointers are those
/// of the first unit.
void lockstep_lstm_forward(lockstep_instructions instructions, long lanes, long units, long hidden, float *gates,
    long gates_row, const float *bias, const float *before, float *cells, float *tanh_cell, float *output,
    float *_Nullable next);

/// The way back through such a step: the gates' values become the gradients of their sums, which are added to
/// `bias_gradient` [4 x hidden] too; `cell_gradient` becomes that of the cell state before. The hidden state's gradient is
/// `output_gradient` + `hidden_gradient`.
void lockstep_lstm_backward(lockstep_instructions instructions, long lanes, long units, long hidden, float *gates,
    long gates_row, const float *before, const float *tanh_cell, const float *output_gradient,
    const float *hidden_gradient, float *cell_gradient, float *bias_gradient);

/// One step of a simplified gated unit, of `units` of its `hidden` units, in each row: `c = u c' + (1 - u) c` with the
/// update gate u and the candidate c'.
///
/// `gates` [rows, 2 x hidden], in the order update, candidate: their sums come in, without `bias` [2 x hidden], their values
/// go out. `before` is the state before, `output` that after, `next` a second place for it or null: [rows, hidden].
void lockstep_simple_gru_forward(lockstep_instructions instructions, long rows, long units, long hidden, float *gates,
    long gates_row, const float *bias, const float *before, float *output, float *_Nullable next);

/// The way back through such a step: the gates' values become the gradients of their sums, which are added to
/// `bias_gradient` [2 x hidden] too. The state's gradient is `output_gradient` + `hidden_gradient`; the part of it that the
/// state before has past the gates takes the place of `hidden_gradient`.
void lockstep_simple_gru_backward(lockstep_instructions instructions, long rows, long units, long hidden, float *gates,
    long gates_row, const float *before, const float *output_gradient, float *hidden_gradient, float *bias_gradient);

/// Functions of one number.
typedef enum {
  lockstep_tanh,
  lockstep_relu,
  lockstep_sigmoid,
} lockstep_activation;

/// The function of `count` numbers, in their place.
void lockstep_activate(lockstep_instructions instructions, lockstep_activation activation, long count, float *x);

/// `gradient *= slope`, at numbers whose function is `y`.
void lockstep_activation_gradient(lockstep_instructions instructions, lockstep_activation activation, long count,
    const float *y, float *gradient);

/// `parameters -= rate (scale gradients + decay parameters)`, of `count` numbers.
void lockstep_sgd_update(lockstep_instructions instructions, long count, float *parameters, const float *gradients,
    float scale, float decay, float rate);

/// Sums numbers `begin` to `end` of several buffers, in their order, into the first `sums` of them.
void lockstep_sum_parts(lockstep_instructions instructions, long parts, float *_Nonnull const *_Nonnull numbers,
    long begin, long end, long sums);

#pragma clang assume_nonnull end
