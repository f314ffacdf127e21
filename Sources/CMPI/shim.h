// MPI for Swift: its constants are macros or links to objects, which Swift does not import.
#pragma once

#include <mpi.h>

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
