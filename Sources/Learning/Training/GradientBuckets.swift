import Networks

/// Sends the gradient on its way to be summed, in buckets, as soon as it is there: going backward that is from the end of
/// the buffer on, where the output layer's is.
final class GradientBuckets: GradientDeparture {
  private let exchange: any GradientExchange
  private let bucketSize: Int
  /// Whether it is sent before all of it is there.
  private let overlaps: Bool
  /// What is to be sent yet.
  private var left = 0..<0

  init(_ exchange: any GradientExchange, bucketSize: Int, overlaps: Bool) {
    self.exchange = exchange
    self.bucketSize = bucketSize
    self.overlaps = overlaps
  }

  /// Before a step, of which this range is to be sent.
  func begin(_ range: Range<Int>) { left = range }

  func reached(_ offset: Int) throws {
    guard overlaps else { return }
    let done = max(offset, left.lowerBound)
    while left.upperBound - bucketSize >= done { try send(bucketSize) }
  }

  func poll() throws { if overlaps { try exchange.progress() } }

  /// When all is done: sends what is left.
  func finish() throws {
    while !left.isEmpty { try send(min(bucketSize, left.count)) }
  }

  private func send(_ count: Int) throws {
    let start = left.upperBound - count
    try exchange.begin([start..<left.upperBound])
    left = left.lowerBound..<start
  }
}
