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
  public static func bind(to processors: Set<Int>) { bind(mask(of: processors)) }

  /// Lets the calling thread run on all of `processors`, but begin at home after each meeting with other ranks. Once in a
  /// process, on the thread that calls MPI, before MPI starts.
  ///
  /// Beside other programs the system moves ranks about, and may put two of them on one core while another program has a core
  /// for itself. All ranks then wait for those two. A rank that begins each time on a core of its own meets one program at
  /// most, and is moved away from it when another rank has nothing to do.
  public static func bind(to processors: Set<Int>, home: Set<Int>) {
    bind(to: processors)
    self.home = Home(processors: home, mask: mask(of: home), all: mask(of: processors))
  }

  static func goHome() {
    guard let home, !home.processors.contains(Int(lockstep_mpi_current_processor())) else { return }
    bind(home.mask)
    bind(home.all)
  }

  private struct Home {
    let processors: Set<Int>
    let mask: [UInt8]
    let all: [UInt8]
  }

  /// Of the one thread that calls MPI.
  nonisolated(unsafe) private static var home: Home?

  private static func bind(_ mask: [UInt8]) { _ = lockstep_mpi_set_affinity(mask.count, mask) }

  private static func mask(of processors: Set<Int>) -> [UInt8] {
    let longs = (processors.max() ?? 0) / 64 + 1
    var mask = [UInt8](repeating: 0, count: 8 * longs)
    for processor in processors { mask[processor / 8] |= 1 << (processor % 8) }
    return mask
  }
}
