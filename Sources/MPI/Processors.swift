import CMPI
import Glibc

/// Which processors a process may run on, as the kernel numbers them.
public enum Processors {
  /// Bytes of a mask: for more processors than the kernel knows of.
  private static let maskBytes = 8192

  /// Of a process; 0 is the calling thread. Nil where the system does not tell.
  public static func allowed(to process: pid_t) -> Set<Int>? {
    var mask = [UInt8](repeating: 0, count: maskBytes)
    guard lockstep_mpi_affinity(process, maskBytes, &mask) > 0 else { return nil }
    return Set((0..<8 * maskBytes).filter { mask[$0 / 8] >> ($0 % 8) & 1 == 1 })
  }

  /// Lets the calling thread, and those it starts from now on, run on these alone. Where the system refuses, all stays as it is.
  public static func bind(to processors: Set<Int>) {
    var mask = [UInt8](repeating: 0, count: maskBytes)
    for processor in processors { mask[processor / 8] |= 1 << (processor % 8) }
    _ = lockstep_mpi_set_affinity(maskBytes, mask)
  }
}
