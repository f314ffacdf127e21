import Dispatch

/// Where the time of training steps goes.
public final class StepTimes {
  /// What a step is made of.
  public enum Part: Int, CaseIterable, Sendable {
    /// Reading the window, the embedding, its gradient and dropout's masks.
    case input
    case recurrentForward
    /// Logits, softmax, loss and their gradients.
    case output
    case recurrentBackward
    /// Summing the gradient over all ranks, as far as the step stands still for it.
    case exchange
    /// Norm, clip and update, and laying weights out anew.
    case update
    /// For ranks that are slower.
    case waiting
  }

  private var nanoseconds = [UInt64](repeating: 0, count: Part.allCases.count)

  public init() {}

  public func clear() { for index in nanoseconds.indices { nanoseconds[index] = 0 } }

  public func seconds(_ part: Part) -> Double { Double(nanoseconds[part.rawValue]) * 1e-9 }

  /// Counts the time that `body` takes.
  @inline(__always)
  public func measure<Value>(_ part: Part, _ body: () throws -> Value) rethrows -> Value {
    let begin = DispatchTime.now().uptimeNanoseconds
    defer { nanoseconds[part.rawValue] += DispatchTime.now().uptimeNanoseconds - begin }
    return try body()
  }
}
