import Synchronization

/// Multiplications in the matrix products of this process so far: counted work, where time says little. oneDNN's recurrent
/// layers are not among them.
public enum ProductCount {
  private static let count = Atomic<Int>(0)

  public static var multiplications: Int { count.load(ordering: .relaxed) }

  /// Of a product of [rows, depth] and [depth, columns].
  static func add(_ rows: Int, _ depth: Int, _ columns: Int) {
    count.wrappingAdd(rows * depth * columns, ordering: .relaxed)
  }
}
