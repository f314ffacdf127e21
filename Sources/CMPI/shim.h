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
static inline MPI_Op lockstep_mpi_sum(void) { return MPI_SUM; }
static inline MPI_Errhandler lockstep_mpi_errors_return(void) { return MPI_ERRORS_RETURN; }
static inline void *lockstep_mpi_in_place(void) { return MPI_IN_PLACE; }
static inline MPI_Status *lockstep_mpi_status_ignore(void) { return MPI_STATUS_IGNORE; }
