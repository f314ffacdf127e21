// HDF5 for Swift, versions 1.10 to 2. Macros become functions. Nothing else happens here.
#pragma once

#include <hdf5.h>

static inline hid_t lockstep_h5_default(void) { return H5P_DEFAULT; }
static inline hid_t lockstep_h5_file_access(void) { return H5P_FILE_ACCESS; }
static inline hid_t lockstep_h5_file_create(void) { return H5P_FILE_CREATE; }
static inline hid_t lockstep_h5_group_create(void) { return H5P_GROUP_CREATE; }
static inline hid_t lockstep_h5_dataset_create(void) { return H5P_DATASET_CREATE; }
static inline hid_t lockstep_h5_attribute_create(void) { return H5P_ATTRIBUTE_CREATE; }
static inline hid_t lockstep_h5_link_create(void) { return H5P_LINK_CREATE; }

static inline unsigned lockstep_h5_truncate(void) { return H5F_ACC_TRUNC; }
static inline unsigned lockstep_h5_read_only(void) { return H5F_ACC_RDONLY; }

static inline hid_t lockstep_h5_whole_space(void) { return H5S_ALL; }
static inline hid_t lockstep_h5_default_errors(void) { return H5E_DEFAULT; }

static inline hid_t lockstep_h5_float32(void) { return H5T_NATIVE_FLOAT; }
static inline hid_t lockstep_h5_float64(void) { return H5T_NATIVE_DOUBLE; }
static inline hid_t lockstep_h5_int64(void) { return H5T_NATIVE_INT64; }
static inline hid_t lockstep_h5_uint8(void) { return H5T_NATIVE_UINT8; }
static inline hid_t lockstep_h5_text(void) { return H5T_C_S1; }
