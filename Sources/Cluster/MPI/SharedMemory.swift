import CMPI
import Glibc

/// Memory of each of some ranks of one machine that all of them read and write (`MPI_Win_allocate_shared`).
public final class SharedMemory {
  /// Of each rank, in their order.
  public let parts: [UnsafeMutablePointer<Float>]
  /// Of each part.
  public let count: Int
  private var raw: MPI_Win?

  /// Whether the system's shared memory, which containers often limit to 64 MB, has room for so many floats of each of some
  /// ranks.
  public static func hasRoom(for count: Int, ranks: Int) -> Bool {
    var system = statvfs()
    guard statvfs("/dev/shm", &system) == 0 else { return false }
    let needed = Double(count * MemoryLayout<Float>.stride + (1 << 16)) * Double(ranks)
    return Double(system.f_bavail) * Double(system.f_frsize) > needed + 0x1p20
  }

  /// All ranks of the communicator take part, and there is room on each. Zeroed. Throws `MPIError`.
  public init(_ ranks: borrowing Communicator, count: Int) throws {
    self.count = count
    let bytes = MPI_Aint(max(count, 1) * MemoryLayout<Float>.stride)
    var base: UnsafeMutableRawPointer?
    var window: MPI_Win?
    let code = withUnsafeMutablePointer(to: &base) {
      lockstep_mpi_win_allocate_shared(bytes, ranks.raw, $0, &window)
    }
    try checked("MPI_Win_allocate_shared", code)
    raw = window
    parts = try (0..<ranks.count).map { rank in
      var size: MPI_Aint = 0
      var unit: Int32 = 0
      var part: UnsafeMutableRawPointer?
      try withUnsafeMutablePointer(to: &part) {
        try checked("MPI_Win_shared_query", MPI_Win_shared_query(window, Int32(rank), &size, &unit, $0))
      }
      guard let part else { throw MPIError(call: "MPI_Win_shared_query", code: -1, message: "it gave no memory") }
      return part.bindMemory(to: Float.self, capacity: max(count, 1))
    }
    parts[ranks.rank].update(repeating: 0, count: count)
    try checked("MPI_Win_lock_all", MPI_Win_lock_all(MPI_MODE_NOCHECK, window))
  }

  /// Lets what others have written be seen here, and what was written here by others (`MPI_Win_sync`), on either side of
  /// a barrier.
  public func synchronize() throws { try checked("MPI_Win_sync", MPI_Win_sync(raw)) }

  /// Gives it back (`MPI_Win_free`); all its ranks do, together. Without it, it is there until the process ends.
  public func free() throws {
    guard raw != nil else { return }
    try checked("MPI_Win_unlock_all", MPI_Win_unlock_all(raw))
    try checked("MPI_Win_free", MPI_Win_free(&raw))
    raw = nil
  }
}
