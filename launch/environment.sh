# shellcheck shell=bash
# Sourced by the scripts beside it: where things are, and what the build and mpirun read from the environment.
# In your own shell, `source launch/environment.sh` makes `swift build` and `mpirun` behave as they do there.
#
# Yours to set before:
#   LOCKSTEP_MPI_PKGCONFIG, LOCKSTEP_HDF5_PKGCONFIG   pkg-config names of Open MPI and HDF5
#   PKG_CONFIG_PATH                                   where pkg-config looks
#   CPATH, LIBRARY_PATH, LD_LIBRARY_PATH              where oneDNN is, which has no pkg-config file
#   OMP_NUM_THREADS                                   threads of each rank

# shellcheck disable=SC2034  # the scripts use it
lockstep_top=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

# A toolchain unpacked here, by launch/setup or by hand, goes before any other: it is put there only when no
# other would do. Remove the folder to use another one.
lockstep_swift=${HOME:-/root}/.local/share/lockstep/swift
if [[ -x $lockstep_swift/usr/bin/swift && :$PATH: != *":$lockstep_swift/usr/bin:"* ]]; then
  export PATH=$lockstep_swift/usr/bin:$PATH
fi

# Package.swift reads these two variables. What is set already stays; where pkg-config knows none of the names
# they stay unset, and launch/setup says so.
lockstep_find_package() {
  local variable=$1 name
  shift
  [[ ${!variable:-} ]] && return
  for name in "$@"; do
    if pkg-config --exists "$name" 2>/dev/null; then
      export "$variable=$name"
      return
    fi
  done
}
lockstep_find_package LOCKSTEP_MPI_PKGCONFIG ompi-c ompi
lockstep_find_package LOCKSTEP_HDF5_PKGCONFIG hdf5-serial hdf5

# Results depend on the number of threads: OpenMP must not choose fewer on a busy machine.
export OMP_DYNAMIC=false

# mpirun refuses to work for root, which is who one is in most containers.
if ((EUID == 0)); then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# Without a remote shell mpirun of Open MPI 4 does not even start ranks on this machine: name one, which it then
# never calls.
if ! command -v ssh >/dev/null && ! command -v rsh >/dev/null; then
  export OMPI_MCA_plm_rsh_agent=${OMPI_MCA_plm_rsh_agent:-false}
fi
