// MPI for Swift: its constants are macros or links to objects, which Swift does not import.
#pragma once

#include <mpi.h>

static inline MPI_Comm lockstep_comm_world(void) { return MPI_COMM_WORLD; }
static inline int lockstep_thread_funneled(void) { return MPI_THREAD_FUNNELED; }
static inline MPI_Comm lockstep_comm_null(void) { return MPI_COMM_NULL; }
static inline MPI_Request lockstep_request_null(void) { return MPI_REQUEST_NULL; }
static inline MPI_Info lockstep_info_null(void) { return MPI_INFO_NULL; }
static inline MPI_Datatype lockstep_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype lockstep_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype lockstep_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype lockstep_int64(void) { return MPI_INT64_T; }
static inline MPI_Op lockstep_sum(void) { return MPI_SUM; }
static inline MPI_Errhandler lockstep_errors_return(void) { return MPI_ERRORS_RETURN; }
static inline void *lockstep_in_place(void) { return MPI_IN_PLACE; }
static inline MPI_Status *lockstep_status_ignore(void) { return MPI_STATUS_IGNORE; }
static inline MPI_Status *lockstep_statuses_ignore(void) { return MPI_STATUSES_IGNORE; }
