/// A sequence of tokens that can be read anywhere.
public protocol TokenSource {
  /// How many there are.
  var count: Int { get }

  /// Copies the tokens of a range to the front of `output`, which has room for them.
  func copy(_ range: Range<Int>, into output: UnsafeMutableBufferPointer<Int32>) throws

  /// Checks what holds the tokens of a range, so that damage is found before they are needed. `meanwhile` is called every
  /// few megabytes; what it throws ends the check.
  func verify(_ range: Range<Int>, meanwhile: () throws -> Void) throws
}

extension TokenSource {
  public func verify(_ range: Range<Int>) throws { try verify(range) {} }
}

extension [Int32]: TokenSource {
  public func copy(_ range: Range<Int>, into output: UnsafeMutableBufferPointer<Int32>) {
    _ = output.update(fromContentsOf: self[range])
  }

  public func verify(_ range: Range<Int>, meanwhile: () throws -> Void) {}
}
