import Kernels

/// Receives the final part of a gradient, so that it can be sent while the rest is computed.
public protocol GradientDeparture: AnyObject {
  /// All floats of the buffer from here to its end will not change any more.
  func reached(_ offset: Int) throws
  /// Called now and then.
  func poll() throws
}

/// Collects the gradients of a backward pass, and tracks which of them are final.
public final class GradientSink {
  public let gradients: Gradients
  /// Whether gradients may be overwritten, whatever stands there; else they are added to what does. Those of tensors that
  /// `TensorSpec.accumulates` are added to in any case.
  public let overwrites: Bool

  private let departure: (any GradientDeparture)?
  private let touch: (ParameterKey, UnsafeBufferPointer<Int32>) -> Void
  private let times: StepTimes
  private var isReady: [Bool]
  /// Tensors from this one on have all been told ready.
  private var first: Int

  /// `touched` is told the rows that a sparse tensor's gradient is added to. What departing takes is added to `times`.
  public init(
    _ gradients: Gradients, overwrites: Bool = false, departure: (any GradientDeparture)? = nil,
    times: StepTimes = StepTimes(),
    touched: @escaping (ParameterKey, UnsafeBufferPointer<Int32>) -> Void = { _, _ in }
  ) {
    self.gradients = gradients
    self.overwrites = overwrites
    self.departure = departure
    self.times = times
    touch = touched
    first = gradients.layout.tensors.count
    isReady = Array(repeating: false, count: first)
  }

  public subscript(key: ParameterKey) -> MatrixView { gradients[key] }

  /// These will not change any more in this pass. Parts may come in any order.
  public func ready(_ keys: [ParameterKey]) throws {
    for key in keys { isReady[key.index] = true }
    let before = first
    while first > 0, isReady[first - 1] { first -= 1 }
    guard first < before, let departure else { return }
    try times.measure(.exchange) { try departure.reached(gradients.layout.tensors[first].offset) }
  }

  /// Of a sparse tensor: rows that this pass adds to.
  public func touched(_ key: ParameterKey, _ rows: UnsafeBufferPointer<Int32>) { touch(key, rows) }

  public func poll() throws { try departure?.poll() }
}
