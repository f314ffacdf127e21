import CKernels

/// A function that a layer applies to each of its numbers.
public enum Activation: String, Codable, CaseIterable, Sendable {
  case tanh, relu, sigmoid

  private var raw: lockstep_activation {
    switch self {
    case .tanh: lockstep_tanh
    case .relu: lockstep_relu
    case .sigmoid: lockstep_sigmoid
    }
  }

  /// In place.
  public func apply(_ x: MatrixView) { lockstep_activate(Instructions.best, raw, x.count, x.pointer) }

  /// Turns the gradient by the function's value into that by its argument, in place; `y` is the value.
  public func backward(_ gradient: MatrixView, y: MatrixView) {
    precondition(gradient.count == y.count)
    lockstep_activation_gradient(Instructions.best, raw, y.count, y.pointer, gradient.pointer)
  }
}
