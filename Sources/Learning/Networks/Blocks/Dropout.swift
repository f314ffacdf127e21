import Kernels

/// Which masks a window gets. Masks depend on the seed, the window and the lane, not on the rank that
/// computes them: the same on any number of ranks, and nothing to save.
public struct DropoutKey: Sendable {
  public let random: CounterRandom
  /// Counts windows from the start of training.
  public let window: Int
  /// Place in the global batch of the first lane computed here.
  public let firstLane: Int

  public init(seed: UInt64, window: Int, firstLane: Int) {
    random = CounterRandom(seed: seed, purpose: .dropout)
    self.window = window
    self.firstLane = firstLane
  }
}

/// Dropout at one place between layers (Srivastava et al. 2014, scaled in training so that nothing is to be
/// done later): a mask of zeros and 1/(1-p), drawn in the forward pass, applied again going back.
struct Dropout: Part {
  let probability: Double
  /// Numbers the places of a network, from the embedding up.
  let site: Int
  let outputSize: Int

  func makeBlock(_ parameters: Parameters, _ shape: NetworkShape) throws -> (any Block)? {
    guard probability > 0, shape.purpose == .training else { return nil }
    return try DropoutBlock(self, shape)
  }

  func makeDecoder(_ parameters: Parameters) throws -> (any DecoderBlock)? { nil }

  func floats(_ shape: NetworkShape) -> Double {
    guard probability > 0, shape.purpose == .training else { return 0 }
    return 2 * Double(shape.steps) * Double(shape.lanes) * Double(outputSize)
  }
}

final class DropoutBlock: Block {
  private let probability: Float
  private let site: UInt32
  private let size: Int
  private let mask: FloatBuffer
  private let output: FloatBuffer

  init(_ part: Dropout, _ shape: NetworkShape) throws {
    size = part.outputSize
    precondition(
      shape.steps * ((size + 3) / 4) < 1 << 26 && part.site < 64, "masks are numbered with 26 and 6 bits")
    probability = Float(part.probability)
    site = UInt32(part.site) << 26
    mask = try FloatBuffer(shape.rows * size)
    output = try FloatBuffer(shape.rows * size)
  }

  func forward(_ x: MatrixView, _ pass: Pass) throws -> MatrixView {
    guard let key = pass.dropout else { preconditionFailure("a network with dropout learns with a key for its masks") }
    return pass.times.measure(.input) { forward(x, pass.active, key) }
  }

  /// Draws a mask and masks `input`, [rows, size].
  func forward(_ input: MatrixView, _ active: ActiveRows, _ key: DropoutKey) -> MatrixView {
    let blocks = (size + 3) / 4
    let scale = 1 / (1 - probability)
    for step in 0..<active.steps {
      let first = site | UInt32(step * blocks)
      for (lane, row) in active.rows(of: step).enumerated() {
        let maskRow = mask.pointer + row * size
        for block in 0..<blocks {
          let drawn = key.random.uniform(
            first + UInt32(block), UInt32(key.firstLane + lane), UInt32(truncatingIfNeeded: key.window))
          let kept = SIMD4<Float>(repeating: 0).replacing(with: scale, where: drawn .>= probability)
          for index in 0..<min(4, size - block * 4) { maskRow[block * 4 + index] = kept[index] }
        }
      }
    }
    for index in 0..<input.count { output.pointer[index] = input.pointer[index] * mask.pointer[index] }
    return output.matrix(rows: input.rows, columns: size)
  }

  func backward(
    _ dy: MatrixView, _ pass: Pass, _ slots: GradientSlots, _ sink: GradientSink
  ) throws -> MatrixView {
    pass.times.measure(.input) { for index in 0..<dy.count { dy.pointer[index] *= mask.pointer[index] } }
    return dy
  }
}
