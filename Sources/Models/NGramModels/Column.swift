import Glibc

/// Numbers of one kind, one for each n-gram of an order, that grow in place.
public final class Column<Number: BitwiseCopyable> {
  public private(set) var numbers: UnsafeMutableBufferPointer<Number>

  /// Not written yet. Ends the process where there is no memory.
  public init(_ count: Int) { numbers = Self.resized(nil, count) }

  public convenience init(_ count: Int, _ number: Number) {
    self.init(count)
    numbers.initialize(repeating: number)
  }

  deinit { free(numbers.baseAddress) }

  public var count: Int { numbers.count }

  public subscript(place: Int) -> Number {
    get { numbers[place] }
    set { numbers[place] = newValue }
  }

  public func resize(_ count: Int) { numbers = Self.resized(numbers.baseAddress, count) }

  private static func resized(
    _ old: UnsafeMutablePointer<Number>?, _ count: Int
  ) -> UnsafeMutableBufferPointer<Number> {
    guard let memory = realloc(old, max(count, 1) * MemoryLayout<Number>.stride) else {
      fatalError("no memory for \(count) numbers of n-grams")
    }
    return UnsafeMutableBufferPointer(start: memory.assumingMemoryBound(to: Number.self), count: count)
  }
}
