import Corpus
import Kernels

/// A text without end or sense, to measure speed on: tokens drawn evenly from a vocabulary.
public struct RandomTokens: TokenSource {
  public let count: Int
  /// Repeated over and over. Their number is a prime, so that lanes do not begin at the same one.
  private let tokens: [Int32]

  public init(count: Int, vocabularySize: Int, seed: UInt64) {
    self.count = count
    let random = CounterRandom(seed: seed, purpose: .benchmark)
    tokens = (0..<min(count, 65_521)).map { Int32(random.unit(UInt32($0), 0, 0) * Double(vocabularySize)) }
  }

  public func copy(_ range: Range<Int>, into output: UnsafeMutableBufferPointer<Int32>) {
    for (index, place) in range.enumerated() { output[index] = tokens[place % tokens.count] }
  }

  public func verify(_ range: Range<Int>, meanwhile: () throws -> Void) {}
}
