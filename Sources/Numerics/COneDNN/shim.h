// oneDNN for Swift. Versions 2 and 3 differ in how descriptors are held and how primitives are described;
// Swift sees one interface. Macros become functions. Nothing else happens here.
#pragma once

#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_debug.h>
#include <stdio.h>

/// Shape and layout of a tensor of 32-bit floats. Version 2 holds it by value, version 3 behind a pointer.
typedef struct {
  dnnl_memory_desc_t value;
} lockstep_dnnl_layout;

/// The layouts of a recurrent layer's tensors, or of their gradients. The cell state is the LSTM's only.
typedef struct {
  lockstep_dnnl_layout input, hidden, cell, weight_input, weight_hidden, bias, output, final_hidden, final_cell;
} lockstep_dnnl_recurrent_layouts;

#if DNNL_VERSION_MAJOR >= 3
#define LOCKSTEP_LAYOUT(layout) ((layout).value)
#else
#define LOCKSTEP_LAYOUT(layout) (&(layout).value)
#endif

static inline const char *lockstep_dnnl_version(void) {
  static char text[32];
  const dnnl_version_t *version = dnnl_version();
  (void)snprintf(text, sizeof text, "%d.%d.%d", version->major, version->minor, version->patch);
  return text;
}

static inline dnnl_status_t lockstep_dnnl_layout_create(
    lockstep_dnnl_layout *layout, int dimensions, const int64_t *sizes, dnnl_format_tag_t tag) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_memory_desc_create_with_tag(&layout->value, dimensions, sizes, dnnl_f32, tag);
#else
  return dnnl_memory_desc_init_by_tag(&layout->value, dimensions, sizes, dnnl_f32, tag);
#endif
}

static inline void lockstep_dnnl_layout_destroy(lockstep_dnnl_layout *layout) {
#if DNNL_VERSION_MAJOR >= 3
  if (layout->value) dnnl_memory_desc_destroy(layout->value);
  layout->value = NULL;
#endif
}

/// A copy, owned by the caller, of a layout that a primitive asks for.
static inline dnnl_status_t lockstep_dnnl_layout_query(
    lockstep_dnnl_layout *layout, const_dnnl_primitive_desc_t description, dnnl_query_t what, int index) {
#if DNNL_VERSION_MAJOR >= 3
  const_dnnl_memory_desc_t found = dnnl_primitive_desc_query_md(description, what, index);
  return found ? dnnl_memory_desc_clone(&layout->value, found) : dnnl_invalid_arguments;
#else
  const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(description, what, index);
  if (!found) return dnnl_invalid_arguments;
  layout->value = *found;
  return dnnl_success;
#endif
}

static inline size_t lockstep_dnnl_layout_bytes(const lockstep_dnnl_layout *layout) {
  return dnnl_memory_desc_get_size(LOCKSTEP_LAYOUT(*layout));
}

/// Memory without an address of its own: one is set before each use.
static inline dnnl_status_t lockstep_dnnl_memory_create(
    dnnl_memory_t *memory, const lockstep_dnnl_layout *layout, dnnl_engine_t engine) {
  return dnnl_memory_create(memory, LOCKSTEP_LAYOUT(*layout), engine, DNNL_MEMORY_NONE);
}

static inline dnnl_status_t lockstep_dnnl_reorder(dnnl_primitive_desc_t *description, dnnl_engine_t engine,
    const lockstep_dnnl_layout *from, const lockstep_dnnl_layout *to) {
  return dnnl_reorder_primitive_desc_create(
      description, LOCKSTEP_LAYOUT(*from), engine, LOCKSTEP_LAYOUT(*to), engine, NULL);
}

/// Describes the softmax of each row.
static inline dnnl_status_t lockstep_dnnl_softmax(
    dnnl_primitive_desc_t *description, dnnl_engine_t engine, const lockstep_dnnl_layout *rows) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_softmax_forward_primitive_desc_create(description, engine, dnnl_forward_inference,
      dnnl_softmax_accurate, LOCKSTEP_LAYOUT(*rows), LOCKSTEP_LAYOUT(*rows), 1, NULL);
#else
  dnnl_softmax_desc_t operation;
  dnnl_status_t status =
      dnnl_softmax_forward_desc_init(&operation, dnnl_forward_inference, LOCKSTEP_LAYOUT(*rows), 1);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(description, &operation, NULL, engine, NULL);
#endif
}

/// Describes a recurrent layer, left to right. `cell` is a dnnl_vanilla_rnn, _lstm, _gru or _lbr_gru;
/// `activation` is the plain cell's; `slope` that of a rectifier below zero.
static inline dnnl_status_t lockstep_dnnl_recurrent_forward(dnnl_primitive_desc_t *description,
    dnnl_engine_t engine, dnnl_prop_kind_t purpose, dnnl_alg_kind_t cell, dnnl_alg_kind_t activation, float slope,
    const lockstep_dnnl_recurrent_layouts *t) {
  const dnnl_rnn_direction_t direction = dnnl_unidirectional_left2right;
#define TENSORS_BEFORE LOCKSTEP_LAYOUT(t->input), LOCKSTEP_LAYOUT(t->hidden)
#define WEIGHTS LOCKSTEP_LAYOUT(t->weight_input), LOCKSTEP_LAYOUT(t->weight_hidden)
#define TENSORS_AFTER LOCKSTEP_LAYOUT(t->bias), LOCKSTEP_LAYOUT(t->output), LOCKSTEP_LAYOUT(t->final_hidden)
#if DNNL_VERSION_MAJOR >= 3
  switch (cell) {
    case dnnl_vanilla_lstm:
      return dnnl_lstm_forward_primitive_desc_create(description, engine, purpose, direction, TENSORS_BEFORE,
          LOCKSTEP_LAYOUT(t->cell), WEIGHTS, NULL, NULL, TENSORS_AFTER, LOCKSTEP_LAYOUT(t->final_cell), 0,
          NULL);
    case dnnl_vanilla_gru:
      return dnnl_gru_forward_primitive_desc_create(
          description, engine, purpose, direction, TENSORS_BEFORE, WEIGHTS, TENSORS_AFTER, 0, NULL);
    case dnnl_lbr_gru:
      return dnnl_lbr_gru_forward_primitive_desc_create(
          description, engine, purpose, direction, TENSORS_BEFORE, WEIGHTS, TENSORS_AFTER, 0, NULL);
    default:
      return dnnl_vanilla_rnn_forward_primitive_desc_create(description, engine, purpose, activation,
          direction, TENSORS_BEFORE, WEIGHTS, TENSORS_AFTER, 0, slope, 0, NULL);
  }
#else
  dnnl_rnn_desc_t operation;
  dnnl_status_t status;
  switch (cell) {
    case dnnl_vanilla_lstm:
      status = dnnl_lstm_forward_desc_init(&operation, purpose, direction, TENSORS_BEFORE,
          LOCKSTEP_LAYOUT(t->cell), WEIGHTS, TENSORS_AFTER, LOCKSTEP_LAYOUT(t->final_cell), 0);
      break;
    case dnnl_vanilla_gru:
      status = dnnl_gru_forward_desc_init(
          &operation, purpose, direction, TENSORS_BEFORE, WEIGHTS, TENSORS_AFTER, 0);
      break;
    case dnnl_lbr_gru:
      status = dnnl_lbr_gru_forward_desc_init(
          &operation, purpose, direction, TENSORS_BEFORE, WEIGHTS, TENSORS_AFTER, 0);
      break;
    default:
      status = dnnl_vanilla_rnn_forward_desc_init(
          &operation, purpose, activation, direction, TENSORS_BEFORE, WEIGHTS, TENSORS_AFTER, 0, slope, 0);
  }
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(description, &operation, NULL, engine, NULL);
#endif
#undef TENSORS_BEFORE
#undef WEIGHTS
#undef TENSORS_AFTER
}

/// Describes the backward pass of a layer; `forward` is its forward description, `d` the gradients' layouts.
static inline dnnl_status_t lockstep_dnnl_recurrent_backward(dnnl_primitive_desc_t *description,
    dnnl_engine_t engine, dnnl_alg_kind_t cell, dnnl_alg_kind_t activation, float slope,
    const lockstep_dnnl_recurrent_layouts *t, const lockstep_dnnl_recurrent_layouts *d,
    const_dnnl_primitive_desc_t forward) {
  const dnnl_rnn_direction_t direction = dnnl_unidirectional_left2right;
#define PART_1(x) LOCKSTEP_LAYOUT((x)->input), LOCKSTEP_LAYOUT((x)->hidden)
#define PART_2(x) LOCKSTEP_LAYOUT((x)->weight_input), LOCKSTEP_LAYOUT((x)->weight_hidden)
#define PART_3(x) LOCKSTEP_LAYOUT((x)->bias), LOCKSTEP_LAYOUT((x)->output), LOCKSTEP_LAYOUT((x)->final_hidden)
#define PLAIN(x) PART_1(x), PART_2(x), PART_3(x)
#if DNNL_VERSION_MAJOR >= 3
#define GATED(x) \
  PART_1(x), LOCKSTEP_LAYOUT((x)->cell), PART_2(x), NULL, NULL, PART_3(x), LOCKSTEP_LAYOUT((x)->final_cell)
  switch (cell) {
    case dnnl_vanilla_lstm:
      return dnnl_lstm_backward_primitive_desc_create(
          description, engine, dnnl_backward, direction, GATED(t), GATED(d), 0, forward, NULL);
    case dnnl_vanilla_gru:
      return dnnl_gru_backward_primitive_desc_create(
          description, engine, dnnl_backward, direction, PLAIN(t), PLAIN(d), 0, forward, NULL);
    case dnnl_lbr_gru:
      return dnnl_lbr_gru_backward_primitive_desc_create(
          description, engine, dnnl_backward, direction, PLAIN(t), PLAIN(d), 0, forward, NULL);
    default:
      return dnnl_vanilla_rnn_backward_primitive_desc_create(description, engine, dnnl_backward, activation,
          direction, PLAIN(t), PLAIN(d), 0, slope, 0, forward, NULL);
  }
#else
#define GATED(x) PART_1(x), LOCKSTEP_LAYOUT((x)->cell), PART_2(x), PART_3(x), LOCKSTEP_LAYOUT((x)->final_cell)
  dnnl_rnn_desc_t operation;
  dnnl_status_t status;
  switch (cell) {
    case dnnl_vanilla_lstm:
      status = dnnl_lstm_backward_desc_init(&operation, dnnl_backward, direction, GATED(t), GATED(d), 0);
      break;
    case dnnl_vanilla_gru:
      status = dnnl_gru_backward_desc_init(&operation, dnnl_backward, direction, PLAIN(t), PLAIN(d), 0);
      break;
    case dnnl_lbr_gru:
      status = dnnl_lbr_gru_backward_desc_init(&operation, dnnl_backward, direction, PLAIN(t), PLAIN(d), 0);
      break;
    default:
      status = dnnl_vanilla_rnn_backward_desc_init(
          &operation, dnnl_backward, activation, direction, PLAIN(t), PLAIN(d), 0, slope, 0);
  }
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(description, &operation, NULL, engine, forward);
#endif
#undef PART_1
#undef PART_2
#undef PART_3
#undef PLAIN
#undef GATED
}

/// OpenMP's entries, or null where oneDNN was built without it. Looked up as the program runs, since which run-time it is
/// (libgomp, libomp) is the library's choice; both have all of these.
typedef struct {
  void (*set_threads)(int count);
  int (*threads)(void);
  int (*thread_limit)(void);
  /// Inside `parallel`: which thread calls, and of how many.
  int (*own_number)(void);
  int (*team_size)(void);
  /// Runs `body` on up to so many threads.
  void (*parallel)(void (*body)(void *context), void *context, unsigned threads, unsigned flags);
} lockstep_openmp;

static inline lockstep_openmp lockstep_dnnl_openmp(void) {
  return (lockstep_openmp){
      .set_threads = (void (*)(int))dlsym(RTLD_DEFAULT, "omp_set_num_threads"),
      .threads = (int (*)(void))dlsym(RTLD_DEFAULT, "omp_get_max_threads"),
      .thread_limit = (int (*)(void))dlsym(RTLD_DEFAULT, "omp_get_thread_limit"),
      .own_number = (int (*)(void))dlsym(RTLD_DEFAULT, "omp_get_thread_num"),
      .team_size = (int (*)(void))dlsym(RTLD_DEFAULT, "omp_get_num_threads"),
      .parallel =
          (void (*)(void (*)(void *), void *, unsigned, unsigned))dlsym(RTLD_DEFAULT, "GOMP_parallel"),
  };
}
