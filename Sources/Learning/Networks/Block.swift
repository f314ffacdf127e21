import Kernels

/// What a network is made for: windows of at most `steps` x `lanes`.
public struct NetworkShape: Hashable, Sendable {
  public let steps: Int
  public let lanes: Int
  public let purpose: Purpose
  /// Whether rows may end within a window.
  public let rowsEnd: Bool

  public init(steps: Int, lanes: Int, purpose: Purpose, rowsEnd: Bool = false) {
    self.steps = steps
    self.lanes = lanes
    self.purpose = purpose
    self.rowsEnd = rowsEnd
  }

  var rows: Int { steps * lanes }
}

/// One window on its way through a network.
struct Pass {
  /// Time-major: the token of row n at step t stands at `active.offsets[t] + n`.
  let inputs: UnsafeBufferPointer<Int32>
  let active: ActiveRows
  /// Whether rows end within it.
  let rowsEnd: Bool
  let states: RowStates
  let dropout: DropoutKey?
  let times: StepTimes
}

/// Two places for gradients between parts, which go from one to the other.
final class GradientSlots {
  private let slots: [FloatBuffer]

  init(floats: Int) throws { slots = [try FloatBuffer(floats), try FloatBuffer(floats)] }

  func first(rows: Int, columns: Int) -> MatrixView { slots[0].matrix(rows: rows, columns: columns) }

  /// In the place that `view` is not in.
  func beside(_ view: MatrixView, columns: Int) -> MatrixView {
    let slot = view.pointer == slots[0].pointer ? slots[1] : slots[0]
    return slot.matrix(rows: view.rows, columns: columns)
  }
}

/// A part of a network with a backward pass of its own. Matrices have a row for each token of the window, step by step.
protocol Block: AnyObject {
  /// Takes over the weights as they are now.
  func weightsChanged() throws
  /// The output is valid until the next forward pass, and the input has to be until the backward pass.
  func forward(_ x: MatrixView, _ pass: Pass) throws -> MatrixView
  /// Of the window just run forward: from the gradient by the output, which may be overwritten, to that by the input. Leaves
  /// the weights' gradients in `sink` and tells it that they are ready.
  func backward(_ dy: MatrixView, _ pass: Pass, _ slots: GradientSlots, _ sink: GradientSink) throws -> MatrixView
}

extension Block {
  func weightsChanged() throws {}
}

/// The first part, which reads tokens.
protocol InputBlock: AnyObject {
  func forward(_ pass: Pass) -> MatrixView
  func backward(_ dy: MatrixView, _ pass: Pass, _ sink: GradientSink) throws
}

/// One token of one text on its way through a part, for which weights are used where they lie.
protocol DecoderBlock: AnyObject {
  /// From a row to a row, which is valid until the next; states are read and written in place.
  func step(_ x: MatrixView, _ states: RowStates) throws -> MatrixView
}

/// What a network is to have, before any memory is taken for it.
protocol Part: Sendable {
  var outputSize: Int { get }
  /// Nil where it does nothing for this purpose. Throws `KernelError`.
  func makeBlock(_ parameters: Parameters, _ shape: NetworkShape) throws -> (any Block)?
  func makeDecoder(_ parameters: Parameters) throws -> (any DecoderBlock)?
  /// Floats that `makeBlock` takes; in Double, since shapes that overflow an Int are to be found by it.
  func floats(_ shape: NetworkShape) -> Double
}

/// Of the first part.
protocol InputPart: Sendable {
  var outputSize: Int { get }
  func makeBlock(_ parameters: Parameters, _ shape: NetworkShape) throws -> any InputBlock
  func makeDecoder(_ parameters: Parameters) throws -> any InputDecoder
  func floats(_ shape: NetworkShape) -> Double
}

protocol InputDecoder: AnyObject {
  func step(_ token: Int32, _ states: RowStates) -> MatrixView
}
