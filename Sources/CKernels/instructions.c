#include "kernels.h"

lockstep_instructions lockstep_best_instructions(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return lockstep_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return lockstep_avx2;
#endif
  return lockstep_any_processor;
}
