// MPI for Swift: its constants are macros or links to objects, which Swift does not import.
#pragma once

#include <limits.h>
#include <linux/futex.h>
#include <mpi.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline MPI_Comm lockstep_mpi_comm_world(void) { return MPI_COMM_WORLD; }
static inline int lockstep_mpi_undefined(void) { return MPI_UNDEFINED; }
static inline int lockstep_mpi_thread_funneled(void) { return MPI_THREAD_FUNNELED; }
static inline MPI_Comm lockstep_mpi_comm_null(void) { return MPI_COMM_NULL; }
static inline MPI_Request lockstep_mpi_request_null(void) { return MPI_REQUEST_NULL; }
static inline MPI_Datatype lockstep_mpi_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype lockstep_mpi_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype lockstep_mpi_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype lockstep_mpi_int64(void) { return MPI_INT64_T; }
static inline MPI_Datatype lockstep_mpi_uint16(void) { return MPI_UINT16_T; }
static inline MPI_Op lockstep_mpi_sum(void) { return MPI_SUM; }
static inline MPI_Errhandler lockstep_mpi_errors_return(void) { return MPI_ERRORS_RETURN; }
static inline void *lockstep_mpi_in_place(void) { return MPI_IN_PLACE; }
static inline MPI_Status *lockstep_mpi_status_ignore(void) { return MPI_STATUS_IGNORE; }

/// The ranks that can share memory with this one.
static inline int lockstep_mpi_split_shared(MPI_Comm all, int rank, MPI_Comm *part) {
  return MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, part);
}

/// Memory of every rank of `ranks`, each its own pages, that all of them can read and write.
static inline int lockstep_mpi_win_allocate_shared(MPI_Aint bytes, MPI_Comm ranks, void *base, MPI_Win *window) {
  MPI_Info info;
  int code = MPI_Info_create(&info);
  if (code != MPI_SUCCESS) return code;
  MPI_Info_set(info, "alloc_shared_noncontig", "true");
  code = MPI_Win_allocate_shared(bytes, sizeof(float), info, ranks, base, window);
  MPI_Info_free(&info);
  return code;
}

/// Where processes meet again and again, in memory that all of them see and that was zero at first.
typedef struct {
  uint32_t arrived, round;
} lockstep_mpi_meeting;

/// Waits until `count` processes have called it: spins for so many nanoseconds, then sleeps until it is woken (futex).
static inline void lockstep_mpi_meet(lockstep_mpi_meeting *place, uint32_t count, int64_t spin) {
  const uint32_t round = __atomic_load_n(&place->round, __ATOMIC_RELAXED);
  if (__atomic_add_fetch(&place->arrived, 1, __ATOMIC_ACQ_REL) == count) {
    __atomic_store_n(&place->arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&place->round, round + 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &place->round, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    return;
  }
  struct timespec begun, now;
  clock_gettime(CLOCK_MONOTONIC, &begun);
  do {
    for (int i = 0; i < 32; i++) {
      if (__atomic_load_n(&place->round, __ATOMIC_ACQUIRE) != round) return;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#elif defined(__aarch64__)
      __asm__ volatile("yield");
#endif
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - begun.tv_sec) * 1000000000 + (now.tv_nsec - begun.tv_nsec) < spin);
  // A signal, or a round that has just ended, lets it return early.
  while (__atomic_load_n(&place->round, __ATOMIC_ACQUIRE) == round)
    syscall(SYS_futex, &place->round, FUTEX_WAIT, round, NULL, NULL, 0);
}

/// Memory without a name in any folder, that another process can open (`memfd_create`); -1 with `errno` otherwise.
static inline int lockstep_mpi_memory_file(void) {
  return (int)syscall(SYS_memfd_create, "lockstep", 1u /* MFD_CLOEXEC */);
}

/// The processors that a process may run on (0: the calling thread), a bit for each; returns the bytes of the mask that the
/// system has, or -1.
static inline long lockstep_mpi_affinity(pid_t process, size_t bytes, void *mask) {
  return syscall(SYS_sched_getaffinity, process, bytes, mask);
}

/// The processor that the calling thread runs on; -1 where the system does not tell.
static inline int lockstep_mpi_current_processor(void) {
  unsigned processor;
  return syscall(SYS_getcpu, &processor, NULL, NULL) == 0 ? (int)processor : -1;
}

/// Lets the calling thread, and those it starts from now on, run on these alone.
static inline long lockstep_mpi_set_affinity(size_t bytes, const void *mask) {
  return syscall(SYS_sched_setaffinity, 0, bytes, mask);
}
