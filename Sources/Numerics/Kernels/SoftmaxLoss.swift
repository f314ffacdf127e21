import CKernels
import Glibc

/// Softmax and cross-entropy of logits that stand transposed, [vocabulary, positions]: one part of the vocabulary after the
/// other, each while it is still in the cache that its product left it in.
///
/// Of each part the exponentials are kept, and for each position the part's largest logit and their sum; how much of the
/// whole a part is turns out when all have been seen (Milakov and Gimelshein, "Online normalizer calculation for softmax",
/// 2018).
public final class SoftmaxLoss {
  /// Parts of the vocabulary, which may be worked on at once.
  public let parts: [Range<Int>]

  var instructions = Instructions.best
  private let most: Int
  /// Of each part [parts, positions with space]: its largest logit; the sum of its exponentials, later what they are
  /// multiplied by to be probabilities.
  private let largest: FloatBuffer
  private let scales: FloatBuffer
  private let targetLogits: FloatBuffer
  private let rowSums: FloatBuffer

  /// Tokens of a part, whose logits a cache keeps; and of one of a small vocabulary, which is to be several threads' work.
  /// Whole tiles of products, and the same parts whatever the number of threads: sums depend on them.
  private static let (leastRows, mostRows, tileRows) = (24, 144, 12)

  /// For up to `positions` at once. Throws `KernelError.outOfMemory`.
  public init(vocabularySize: Int, positions: Int) throws {
    let tiles = (vocabularySize / 8 + Self.tileRows - 1) / Self.tileRows
    let rows = min(Self.mostRows, max(Self.leastRows, tiles * Self.tileRows))
    parts = stride(from: 0, to: vocabularySize, by: rows).map { $0..<min($0 + rows, vocabularySize) }
    most = Self.rowStride(of: positions)
    largest = try FloatBuffer(parts.count * most)
    scales = try FloatBuffer(parts.count * most)
    rowSums = try FloatBuffer(vocabularySize)
    targetLogits = try FloatBuffer(positions)
  }

  /// Floats from one row of the logits of so many positions to the next: whole vectors, and not a large power of two, as
  /// rows would then displace each other in the cache.
  public static func rowStride(of positions: Int) -> Int {
    let step = Int(lockstep_panel_step)
    let whole = (positions + step - 1) / step * step
    return whole.isMultiple(of: 512) ? whole + step : whole
  }

  /// Puts exponentials in the place of a part's logits, which are without their bias [vocabulary]. Targets outside the part
  /// are passed over.
  public func takeExponentials(
    ofPart part: Int, _ logits: StridedMatrix, bias: UnsafePointer<Float>, targets: UnsafeBufferPointer<Int32>
  ) {
    let rows = parts[part]
    precondition(logits.stored.rows == rows.count && logits.stride == Self.rowStride(of: targets.count))
    for (position, target) in targets.enumerated() where rows.contains(Int(target)) {
      targetLogits.pointer[position] =
        logits.stored.pointer[(Int(target) - rows.lowerBound) * logits.stride + position] + bias[Int(target)]
    }
    // What an earlier block left in the space beside the logits may be no number.
    for row in 0..<rows.count {
      let space = logits.stored.pointer + row * logits.stride + targets.count
      space.update(repeating: 0, count: logits.stride - targets.count)
    }
    lockstep_exponentials(
      instructions, rows.count, logits.stride, logits.stored.pointer, logits.stride, bias + rows.lowerBound,
      largest.pointer + part * most, scales.pointer + part * most)
  }

  /// Once all parts have been seen: adds `-ln p(target)` of each position, in nats, to
  /// `losses[(firstPosition + position) % losses.count]`: positions are time-major, so this is the loss of each lane. A
  /// target of -1 counts nothing. Not a number where a logit is none.
  public func addLosses(
    targets: UnsafeBufferPointer<Int32>, firstPosition: Int, to losses: UnsafeMutableBufferPointer<Double>
  ) {
    for (position, target) in targets.enumerated() {
      let places = stride(from: position, to: parts.count * most, by: most)
      var highest = -Float.infinity
      for place in places { highest = max(highest, largest[place]) }
      var total = 0.0
      for place in places {
        // What a part counts for beside the largest takes the place of its own.
        largest[place] = exp(largest[place] - highest)
        total += Double(scales[place]) * Double(largest[place])
      }
      for place in places { scales[place] = Float(Double(largest[place]) / total) }
      guard target >= 0 else { continue }
      precondition(Int(target) < parts.last?.upperBound ?? 0, "token \(target) in a vocabulary of \(parts)")
      losses[(firstPosition + position) % losses.count] += Double(highest) + log(total) - Double(targetLogits[position])
    }
  }

  /// Then, every position having a target: turns a part's exponentials into the gradient of the losses by the logits,
  /// `p - onehot(target)`, and adds its sums over the positions to the bias's gradient [vocabulary].
  public func differentiate(
    part: Int, _ exponentials: StridedMatrix, targets: UnsafeBufferPointer<Int32>,
    biasGradient: UnsafeMutablePointer<Float>
  ) {
    let rows = parts[part]
    let stride = exponentials.stride
    for space in targets.count..<stride { scales[part * most + space] = 0 }
    let sums = rowSums.pointer + rows.lowerBound
    lockstep_scale_columns(
      instructions, rows.count, stride, exponentials.stored.pointer, stride, scales.pointer + part * most, sums)
    for (position, target) in targets.enumerated() where rows.contains(Int(target)) {
      let row = Int(target) - rows.lowerBound
      exponentials.stored.pointer[row * stride + position] -= 1
      sums[row] -= 1
    }
    for row in 0..<rows.count { biasGradient[rows.lowerBound + row] += sums[row] }
  }
}
