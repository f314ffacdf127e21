import COneDNN

/// What a plan or a model is made for: learning keeps what the backward pass needs.
public enum Purpose: Sendable {
  case training
  case inference
}

/// Weights of a recurrent layer, or their gradients: `weightInput` [input, gates x hidden], `weightHidden`
/// [hidden, gates x hidden], `bias` [biases x hidden]. This is PyTorch's layout transposed: what oneDNN reads
/// forward, and writes gradients in, without a copy.
public struct RecurrentWeights {
  public let input: MatrixView
  public let hidden: MatrixView
  public let bias: MatrixView

  public init(input: MatrixView, hidden: MatrixView, bias: MatrixView) {
    self.input = input
    self.hidden = hidden
    self.bias = bias
  }
}

/// State of one layer for each lane: `hidden` [lanes, hidden] and, for cells that have one, `cell` [lanes, hidden].
public struct LayerState {
  public let hidden: MatrixView
  public let cell: MatrixView?

  public init(hidden: MatrixView, cell: MatrixView?) {
    self.hidden = hidden
    self.cell = cell
  }
}

/// One recurrent layer over a window of fixed shape, made once: oneDNN's primitives forward and backward, or our own
/// loops (`StepPlan`).
///
/// Sequences are time-major: input [steps x lanes, inputSize], output [steps x lanes, hiddenSize].
public final class RecurrentPlan {
  public let cell: Cell
  public let steps: Int
  public let lanes: Int
  public let inputSize: Int
  public let hiddenSize: Int

  private let engine: Engine
  private var padding: Padding?

  /// Our own loops, where it is those.
  var own: StepPlan? {
    guard case .own(let plan) = engine else { return nil }
    return plan
  }

  private enum Engine {
    case primitives(Pass, BackwardPass?)
    case own(StepPlan)
  }

  /// `rowsEnd` says that rows may end within a window: those of cells that we have no loops for are computed all the same.
  /// Throws `KernelError` when oneDNN has no such layer or memory runs out.
  public convenience init(
    cell: Cell, steps: Int, lanes: Int, inputSize: Int, hiddenSize: Int, purpose: Purpose, rowsEnd: Bool = false
  ) throws {
    try self.init(
      cell: cell, steps: steps, lanes: lanes, inputSize: inputSize, hiddenSize: hiddenSize, purpose: purpose,
      isOwn: Self.isOwn(cell, purpose, rowsEnd: rowsEnd))
    if rowsEnd, own == nil { padding = try Padding(self) }
  }

  private static func isOwn(_ cell: Cell, _ purpose: Purpose, rowsEnd: Bool) -> Bool {
    cell.kind == nil || StepPlan.has(cell) && (purpose == .training || rowsEnd)
  }

  /// Floats of such a plan, and of its padding.
  public static func floats(
    _ cell: Cell, rows: Double, lanes: Double, inputSize: Double, hiddenSize: Double, purpose: Purpose,
    rowsEnd: Bool = false
  ) -> Double {
    if isOwn(cell, purpose, rowsEnd: rowsEnd) {
      return StepPlan.floats(
        cell, rows: rows, lanes: lanes, inputSize: inputSize, hiddenSize: hiddenSize, purpose: purpose)
    }
    let gates = Double(cell.gates)
    let weights = gates * hiddenSize * (inputSize + hiddenSize)
    // What oneDNN keeps for the way back is its own affair: gates, states and a few rows more.
    let kept = purpose == .training ? weights + rows * hiddenSize * (2 * gates + 2) : 0
    return weights + kept + (rowsEnd ? rows * (inputSize + hiddenSize) : 0)
  }

  init(
    cell: Cell, steps: Int, lanes: Int, inputSize: Int, hiddenSize: Int, purpose: Purpose, isOwn: Bool
  ) throws {
    self.cell = cell
    self.steps = steps
    self.lanes = lanes
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    if isOwn {
      engine = .own(
        try StepPlan(
          cell, steps: steps, lanes: lanes, inputSize: inputSize, hiddenSize: hiddenSize, purpose: purpose))
    } else {
      let shape = Shape(cell: cell, steps: steps, lanes: lanes, input: inputSize, hidden: hiddenSize)
      let forward = try Pass(shape, purpose)
      engine = .primitives(forward, purpose == .training ? try BackwardPass(shape, forward) : nil)
    }
  }

  /// Takes over new weights, and lays out what is not used where it lies. They must stay in their place; call it after each
  /// update.
  public func pack(_ weights: RecurrentWeights) throws {
    switch engine {
    case .primitives(let forward, let backward):
      try forward.weights.pack(weights)
      try backward?.weights.pack(weights)
    case .own(let plan): plan.pack(weights)
    }
  }

  /// Runs the layer from state `before`; writes `output` and the state `after` the last step.
  /// `before` and `after` must not be the same memory: the backward pass reads both. With `active` rows, input and output
  /// have one for each that lives, and the plan was made for rows that end.
  public func forward(
    input: MatrixView, before: LayerState, output: MatrixView, after: LayerState, bias: MatrixView,
    active: ActiveRows? = nil
  ) throws {
    switch engine {
    case .primitives(let forward, _):
      if let active {
        guard let padding else { preconditionFailure("this plan was not made for rows that end") }
        padding.spread(input, active)
        try forward.tensors.place(
          input: padding.input, before: before, output: padding.output, after: after, bias: bias)
        try forward.primitive.execute()
        return padding.collect(into: output, active)
      }
      try forward.tensors.place(input: input, before: before, output: output, after: after, bias: bias)
      try forward.primitive.execute()
    case .own(let plan):
      try plan.forward(input: input, before: before, output: output, after: after, bias: bias, active: active)
    }
  }

  /// Goes back through the window just run forward, with the same tensors in the same places.
  ///
  /// `outputGradient` [steps x lanes, hidden] and `afterGradient` come in; `inputGradient` and
  /// `beforeGradient` are overwritten; the weights' gradients are **added** to, or overwritten if they are `overwrites`. `poll` is
  /// called now and then, as often as the layer can.
  public func backward(
    input: MatrixView, before: LayerState, output: MatrixView, after: LayerState, bias: MatrixView,
    outputGradient: MatrixView, afterGradient: LayerState,
    inputGradient: MatrixView, beforeGradient: LayerState, weightGradients: RecurrentWeights, overwrites: Bool = false,
    poll: () throws -> Void = {}
  ) throws {
    switch engine {
    case .primitives(_, let pass?):
      if overwrites {
        for gradient in [weightGradients.input, weightGradients.hidden, weightGradients.bias] { gradient.clear() }
      }
      try pass.tensors.place(input: input, before: before, output: output, after: after, bias: bias)
      let gradients = pass.gradients
      try gradients.place(
        input: inputGradient, before: beforeGradient, output: outputGradient, after: afterGradient,
        bias: weightGradients.bias)
      try gradients.weightInput.place(at: weightGradients.input.pointer)
      try gradients.weightHidden.place(at: weightGradients.hidden.pointer)
      try pass.primitive.execute()
    case .primitives(_, nil): preconditionFailure("this plan was made for inference")
    case .own(let plan):
      try plan.backward(
        input: input, before: before, outputGradient: outputGradient, afterGradient: afterGradient,
        inputGradient: inputGradient, beforeGradient: beforeGradient, weightGradients: weightGradients,
        overwrites: overwrites,
        poll: poll)
    }
  }

  /// Room for windows whose rows all last to the end. A row's numbers do not depend on those of others, nor on what it reads
  /// after its end.
  private struct Padding {
    let input: MatrixView
    let output: MatrixView
    private let lanes: Int
    private let memory: [FloatBuffer]

    init(_ plan: RecurrentPlan) throws {
      lanes = plan.lanes
      let rows = plan.steps * plan.lanes
      memory = [try FloatBuffer(rows * plan.inputSize), try FloatBuffer(rows * plan.hiddenSize)]
      input = memory[0].matrix(rows: rows, columns: plan.inputSize)
      output = memory[1].matrix(rows: rows, columns: plan.hiddenSize)
    }

    func spread(_ from: MatrixView, _ active: ActiveRows) {
      for step in 0..<active.steps {
        let rows = active.rows(of: step)
        input.rows(step * lanes..<step * lanes + rows.count).copy(from: from.rows(rows))
      }
    }

    func collect(into to: MatrixView, _ active: ActiveRows) {
      for step in 0..<active.steps {
        let rows = active.rows(of: step)
        to.rows(rows).copy(from: output.rows(step * lanes..<step * lanes + rows.count))
      }
    }
  }

  /// Sizes of the tensors, and their layouts in oneDNN's order of dimensions.
  fileprivate struct Shape: CustomStringConvertible {
    let cell: Cell
    let steps: Int
    let lanes: Int
    let input: Int
    let hidden: Int

    var kind: dnnl_alg_kind_t {
      guard let kind = cell.kind else { preconditionFailure("oneDNN has no \(cell.rawValue)") }
      return kind
    }

    var description: String { "\(cell.rawValue) (\(input) to \(hidden) units, \(lanes) lanes, \(steps) steps)" }

    func layouts(weights order: dnnl_format_tag_t) throws -> Layouts {
      let state = [1, 1, lanes, hidden]
      return try Layouts(
        input: Layout([steps, lanes, input], dnnl_tnc),
        hidden: Layout(state, dnnl_ldnc),
        cell: Layout(state, dnnl_ldnc),
        weightInput: Layout([1, 1, input, cell.gates, hidden], order),
        weightHidden: Layout([1, 1, hidden, cell.gates, hidden], order),
        bias: Layout([1, 1, cell.biases, hidden], dnnl_ldgo),
        output: Layout([steps, lanes, hidden], dnnl_tnc),
        finalHidden: Layout(state, dnnl_ldnc),
        finalCell: Layout(state, dnnl_ldnc))
    }
  }

  fileprivate struct Layouts {
    let input, hidden, cell, weightInput, weightHidden, bias, output, finalHidden, finalCell: Layout

    var raw: lockstep_dnnl_recurrent_layouts {
      lockstep_dnnl_recurrent_layouts(
        input: input.raw, hidden: hidden.raw, cell: cell.raw, weight_input: weightInput.raw,
        weight_hidden: weightHidden.raw, bias: bias.raw, output: output.raw, final_hidden: finalHidden.raw,
        final_cell: finalCell.raw)
    }
  }

  /// The tensors of a layer, or of its gradients, to be placed before each run.
  fileprivate struct Tensors {
    let input, hidden, weightInput, weightHidden, bias, output, finalHidden: Tensor
    let cell, finalCell: Tensor?

    init(_ layouts: Layouts, weightInput: Tensor, weightHidden: Tensor, hasCellState: Bool) throws {
      input = try Tensor(layouts.input)
      hidden = try Tensor(layouts.hidden)
      cell = hasCellState ? try Tensor(layouts.cell) : nil
      self.weightInput = weightInput
      self.weightHidden = weightHidden
      bias = try Tensor(layouts.bias)
      output = try Tensor(layouts.output)
      finalHidden = try Tensor(layouts.finalHidden)
      finalCell = hasCellState ? try Tensor(layouts.finalCell) : nil
    }

    func place(
      input: MatrixView, before: LayerState, output: MatrixView, after: LayerState, bias: MatrixView
    ) throws {
      try self.input.place(at: input.pointer)
      try hidden.place(at: before.hidden.pointer)
      if let cell, let state = before.cell { try cell.place(at: state.pointer) }
      try self.output.place(at: output.pointer)
      try finalHidden.place(at: after.hidden.pointer)
      if let finalCell, let state = after.cell { try finalCell.place(at: state.pointer) }
      try self.bias.place(at: bias.pointer)
    }

    var arguments: [Int32: Tensor] {
      var arguments: [Int32: Tensor] = [
        DNNL_ARG_SRC_LAYER: input, DNNL_ARG_SRC_ITER: hidden, DNNL_ARG_WEIGHTS_LAYER: weightInput,
        DNNL_ARG_WEIGHTS_ITER: weightHidden, DNNL_ARG_BIAS: bias, DNNL_ARG_DST_LAYER: output,
        DNNL_ARG_DST_ITER: finalHidden,
      ]
      arguments[DNNL_ARG_SRC_ITER_C] = cell
      arguments[DNNL_ARG_DST_ITER_C] = finalCell
      return arguments
    }

    var gradientArguments: [Int32: Tensor] {
      var arguments: [Int32: Tensor] = [
        DNNL_ARG_DIFF_SRC_LAYER: input, DNNL_ARG_DIFF_SRC_ITER: hidden,
        DNNL_ARG_DIFF_WEIGHTS_LAYER: weightInput, DNNL_ARG_DIFF_WEIGHTS_ITER: weightHidden,
        DNNL_ARG_DIFF_BIAS: bias, DNNL_ARG_DIFF_DST_LAYER: output, DNNL_ARG_DIFF_DST_ITER: finalHidden,
      ]
      arguments[DNNL_ARG_DIFF_SRC_ITER_C] = cell
      arguments[DNNL_ARG_DIFF_DST_ITER_C] = finalCell
      return arguments
    }
  }

  /// The two weight matrices in the layout a primitive chose, each with its own memory.
  fileprivate final class PackedWeights {
    let input: Tensor
    let hidden: Tensor
    private let memory: [FloatBuffer]
    private let reorders: [(from: Tensor, primitive: Primitive)]

    init(_ description: PrimitiveDescription, from plain: Layouts) throws {
      input = try Tensor(Layout(of: description, dnnl_query_weights_md, 0))
      hidden = try Tensor(Layout(of: description, dnnl_query_weights_md, 1))
      memory = try [input, hidden].map { tensor in
        let buffer = try FloatBuffer((tensor.layout.bytes + 3) / 4)
        try tensor.place(at: buffer.pointer)
        return buffer
      }
      reorders = try [(plain.weightInput, input), (plain.weightHidden, hidden)].map { layout, packed in
        let from = try Tensor(layout)
        return (from, try Primitive.reorder("pack weights", from: from, to: packed))
      }
    }

    func pack(_ weights: RecurrentWeights) throws {
      for (reorder, matrix) in zip(reorders, [weights.input, weights.hidden]) {
        try reorder.from.place(at: matrix.pointer)
        try reorder.primitive.execute()
      }
    }
  }

  fileprivate final class Pass {
    let description: PrimitiveDescription  // the backward pass is described with it as a hint
    let layouts: Layouts
    let weights: PackedWeights
    let tensors: Tensors
    let workspace: Tensor?
    let workspaceMemory: FloatBuffer?
    let primitive: Primitive

    init(_ shape: Shape, _ purpose: Purpose) throws {
      let layouts = try shape.layouts(weights: dnnl_format_tag_any)
      var raw = layouts.raw
      description = try PrimitiveDescription("run a \(shape) layer forward") {
        lockstep_dnnl_recurrent_forward(
          $0, $1, purpose == .training ? dnnl_forward_training : dnnl_forward_inference,
          shape.kind, shape.cell.activation.kind, shape.cell.activation.slope, &raw)
      }
      self.layouts = layouts
      weights = try PackedWeights(description, from: shape.layouts(weights: dnnl_ldigo))
      tensors = try Tensors(
        layouts, weightInput: weights.input, weightHidden: weights.hidden,
        hasCellState: shape.cell.hasCellState)
      var arguments = tensors.arguments
      if purpose == .training {
        let tensor = try Tensor(Layout(of: description, dnnl_query_workspace_md))
        let memory = try FloatBuffer((tensor.layout.bytes + 3) / 4)
        try tensor.place(at: memory.pointer)
        arguments[DNNL_ARG_WORKSPACE] = tensor
        workspace = tensor
        workspaceMemory = memory
      } else {
        workspace = nil
        workspaceMemory = nil
      }
      primitive = try Primitive("run a layer forward", description, arguments)
    }
  }

  fileprivate final class BackwardPass {
    let weights: PackedWeights
    let tensors: Tensors
    let gradients: Tensors
    let primitive: Primitive

    init(_ shape: Shape, _ forward: Pass) throws {
      let plain = try shape.layouts(weights: dnnl_ldigo)
      var raw = forward.layouts.raw
      var rawGradients = plain.raw
      let description = try PrimitiveDescription("go back through a \(shape) layer") {
        lockstep_dnnl_recurrent_backward(
          $0, $1, shape.kind, shape.cell.activation.kind, shape.cell.activation.slope, &raw, &rawGradients,
          forward.description.raw)
      }
      weights = try PackedWeights(description, from: plain)
      tensors = try Tensors(
        forward.layouts, weightInput: weights.input, weightHidden: weights.hidden,
        hasCellState: shape.cell.hasCellState)
      gradients = try Tensors(
        plain, weightInput: Tensor(plain.weightInput),
        weightHidden: Tensor(plain.weightHidden), hasCellState: shape.cell.hasCellState)
      var arguments = tensors.arguments
      arguments.merge(gradients.gradientArguments) { _, _ in preconditionFailure("two tensors, one name") }
      arguments[DNNL_ARG_WORKSPACE] = forward.workspace
      primitive = try Primitive("go back through a layer", description, arguments)
    }
  }
}
