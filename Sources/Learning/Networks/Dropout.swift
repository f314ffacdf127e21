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
final class Dropout {
  private let probability: Float
  private let site: UInt32
  private let steps: Int
  private let mask: FloatBuffer
  let output: FloatBuffer

  /// `site` numbers the places of a model, from the embedding up.
  init(probability: Double, site: Int, steps: Int, lanes: Int, size: Int) throws {
    precondition(steps * ((size + 3) / 4) < 1 << 26 && site < 64, "masks are numbered with 26 and 6 bits")
    self.probability = Float(probability)
    self.site = UInt32(site) << 26
    self.steps = steps
    mask = try FloatBuffer(steps * lanes * size)
    output = try FloatBuffer(steps * lanes * size)
  }

  /// Draws a mask and writes `input`, masked, to `output`; both [steps x lanes, size].
  func forward(_ input: MatrixView, _ key: DropoutKey) {
    let lanes = input.rows / steps
    let size = input.columns
    let blocks = (size + 3) / 4
    let scale = 1 / (1 - probability)
    for row in 0..<input.rows {
      let lane = UInt32(key.firstLane + row % lanes)
      let first = site | UInt32(row / lanes * blocks)
      let maskRow = mask.pointer + row * size
      for block in 0..<blocks {
        let drawn = key.random.uniform(first + UInt32(block), lane, UInt32(truncatingIfNeeded: key.window))
        let kept = SIMD4<Float>(repeating: 0).replacing(with: scale, where: drawn .>= probability)
        for index in 0..<min(4, size - block * 4) { maskRow[block * 4 + index] = kept[index] }
      }
    }
    for index in 0..<input.count { output.pointer[index] = input.pointer[index] * mask.pointer[index] }
  }

  /// Turns the gradient of the output into that of the input, in place.
  func backward(_ gradient: MatrixView) {
    for index in 0..<gradient.count { gradient.pointer[index] *= mask.pointer[index] }
  }
}
