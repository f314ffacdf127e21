import Glibc
import Kernels

/// Turns a gradient into an update, in one walk over the flat buffers. The rules are PyTorch's, so that rates
/// carry over.
public final class Optimizer {
  public let configuration: OptimizerConfiguration
  /// What the rule remembers of each parameter, by name; part of a checkpoint.
  public let slots: [(name: String, buffer: FloatBuffer)]

  /// For `count` parameters. Throws `KernelError.outOfMemory`.
  public init(_ configuration: OptimizerConfiguration, count: Int) throws {
    self.configuration = configuration
    slots = try Self.slotNames(configuration.kind).map { ($0, try FloatBuffer(count)) }
  }

  /// Names of what a rule remembers.
  public static func slotNames(_ kind: OptimizerConfiguration.Kind) -> [String] {
    switch kind {
    case .sgd: []
    case .momentum, .nesterov: ["momentum"]
    case .adam, .adamw: ["firstMoment", "secondMoment"]
    case .rmsprop, .adagrad: ["secondMoment"]
    }
  }

  /// Whether a parameter whose gradient is zero stays as it is.
  public var leavesZeroGradients: Bool { configuration.kind == .sgd && configuration.weightDecay == 0 }

  /// Updates a range of `parameters` with `gradientScale` times `gradients`, at learning rate `rate`. `step` counts
  /// updates from 1.
  public func update(
    _ parameters: FloatBuffer, _ range: Range<Int>, with gradients: FloatBuffer, gradientScale: Float, rate: Double,
    step: Int
  ) {
    precondition(parameters.count == gradients.count && range.lowerBound >= 0 && range.upperBound <= parameters.count)
    let c = configuration
    let p = parameters.pointer
    let decay = c.kind == .adamw ? 0 : Float(c.weightDecay)
    let g = Gradient(pointer: gradients.pointer, scale: gradientScale, decay: decay, parameters: p)
    let rate32 = Float(rate)
    let epsilon = Float(c.epsilon)
    func slot(_ index: Int) -> UnsafeMutablePointer<Float> { slots[index].buffer.pointer }

    switch c.kind {
    case .sgd:
      let first = range.lowerBound
      sgdUpdate(p + first, g.pointer + first, count: range.count, scale: gradientScale, decay: decay, rate: rate32)

    case .momentum, .nesterov:
      // Sutskever et al. 2013, in PyTorch's form: v = m v + g; p -= rate v, or rate (g + m v).
      let v = slot(0)
      let m = Float(c.momentum)
      if c.kind == .momentum {
        for i in range {
          v[i] = m * v[i] + g[i]
          p[i] -= rate32 * v[i]
        }
      } else {
        for i in range {
          let gradient = g[i]
          v[i] = m * v[i] + gradient
          p[i] -= rate32 * (gradient + m * v[i])
        }
      }

    case .adam, .adamw:
      // Kingma and Ba 2015; Loshchilov and Hutter 2019 for the decay outside the gradient.
      let (first, second) = (slot(0), slot(1))
      let (beta1, beta2) = (Float(c.beta1), Float(c.beta2))
      let stepSize = Float(rate / (1 - pow(c.beta1, Double(step))))
      let rootCorrection = Float(1 / (1 - pow(c.beta2, Double(step))).squareRoot())
      let kept = c.kind == .adamw ? Float(1 - rate * c.weightDecay) : 1
      for i in range {
        let gradient = g[i]
        first[i] += (1 - beta1) * (gradient - first[i])
        second[i] = beta2 * second[i] + (1 - beta2) * gradient * gradient
        p[i] = kept * p[i] - stepSize * first[i] / (second[i].squareRoot() * rootCorrection + epsilon)
      }

    case .rmsprop:
      // Tieleman and Hinton 2012.
      let second = slot(0)
      let smoothing = Float(c.smoothing)
      for i in range {
        let gradient = g[i]
        second[i] = smoothing * second[i] + (1 - smoothing) * gradient * gradient
        p[i] -= rate32 * gradient / (second[i].squareRoot() + epsilon)
      }

    case .adagrad:
      // Duchi et al. 2011.
      let second = slot(0)
      for i in range {
        let gradient = g[i]
        second[i] += gradient * gradient
        p[i] -= rate32 * gradient / (second[i].squareRoot() + epsilon)
      }
    }
  }

  /// The gradient as the rules see it: scaled, with L2 decay added.
  private struct Gradient {
    let pointer: UnsafeMutablePointer<Float>
    let scale: Float
    let decay: Float
    let parameters: UnsafeMutablePointer<Float>

    @inline(__always)
    subscript(index: Int) -> Float { pointer[index] * scale + decay * parameters[index] }
  }
}

/// A checksum of a buffer's bits: a Fletcher sum of 64-bit words, which sees a change of any bit and of the order.
func checksum(_ buffer: FloatBuffer) -> UInt64 {
  var (first, second): (UInt64, UInt64) = (0, 0)
  for value in buffer.values {
    first &+= UInt64(value.bitPattern)
    second &+= first
  }
  return second ^ first.byteSwapped
}
