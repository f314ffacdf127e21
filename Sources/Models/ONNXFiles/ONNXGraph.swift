import Checkpoints
import Foundation
import Kernels
import Networks

/// A language model as ONNX's standard operators, with the names and shapes of its weights but not yet their numbers.
///
/// For time T, batch N, vocabulary V and layer l with H units: inputs `tokens` [T, N] and the state `hidden.l` [N, H]
/// (and `cell.l`), outputs `logits` [T, N, V] and the state after the last token, `hidden.l.next` (and `cell.l.next`).
/// A window network of n tokens has the state `context` [N, n - 1]: the tokens before, oldest first, as numbers from 1; 0 is
/// none.
struct ONNXGraph {
  /// A tensor of the file, its numbers taken from the parameters when it is written.
  struct Initializer {
    let name: String
    let dims: [Int]
    let values: (Parameters) -> [Float]

    var count: Int { dims.reduce(1, *) }
  }

  /// All but the initializers that hold weights.
  private(set) var graph = GraphProto()
  private(set) var initializers: [Initializer] = []
  private let precision: Precision

  init(_ model: ModelConfiguration, vocabularySize: Int, name: String, precision: Precision) {
    self.precision = precision
    graph.name = name
    graph.input = [.tensor("tokens", .int64, [.dynamic("length"), .dynamic("batch")])]
    graph.output = [.tensor("logits", .float, [.dynamic("length"), .dynamic("batch"), .fixed(vocabularySize)])]
    graph.initializer = [.list(Self.first, [0]), .list(Self.second, [1])]

    add(weight: "embedding", [vocabularySize, model.embeddingSize]) { $0.matrix("embedding").numbers }
    let top: String
    switch model.kind {
    case .recurrent:
      node("Gather", ["embedding", "tokens"], ["embedded"])
      for layer in model.hiddenSizes.indices { addLayer(layer, of: model) }
      top = model.hiddenSizes.isEmpty ? "embedded" : "layer.\(model.hiddenSizes.count - 1)"
    case .window:
      addWindow(of: model)
      for layer in model.hiddenSizes.indices { addDenseLayer(layer, of: model) }
      let last = "layer.\(model.hiddenSizes.count - 1)"
      top = model.direct ? "layer.direct" : last
      if model.direct { node("Concat", [last, "embedded"], [top], [.int("axis", 2)]) }
    }
    let size = model.outputSize
    if model.tiedWeights {
      node("Transpose", ["embedding"], ["output.weight"])
    } else {
      add(weight: "output.weight", [size, vocabularySize]) {
        $0.matrix("output.weight").transposed(columns: Array(0..<size))
      }
    }
    add(weight: "output.bias", [vocabularySize]) { $0.matrix("output.bias").numbers }
    node("MatMul", [top, "output.weight"], ["products"])
    node("Add", ["products", "output.bias"], ["logits"])
  }

  // Names of the axes that operators put in and take out.
  private static let first = "axis.0"
  private static let second = "axis.1"

  private mutating func addLayer(_ layer: Int, of model: ModelConfiguration) {
    let cell = model.cell
    let size = model.hiddenSizes[layer]
    let name = "\(cell.family).\(layer)"
    // Columns of our weights in the order of ONNX's rows.
    let columns = cell.gateOrder.flatMap { gate in gate * size..<(gate + 1) * size }
    let input = model.inputSize(ofLayer: layer)
    if cell == .gruSimple { return addSimpleGRU(layer, of: model, name) }
    add(weight: "\(name).W", [1, columns.count, input]) {
      $0.matrix("\(name).weightInput").transposed(columns: columns)
    }
    add(weight: "\(name).R", [1, columns.count, size]) {
      $0.matrix("\(name).weightHidden").transposed(columns: columns)
    }
    add(weight: "\(name).B", [1, 2 * columns.count]) {
      let bias = $0.matrix("\(name).bias").numbers
      // ONNX has a second bias, for what comes from the state. It only adds to the first, and is zero here, but for the
      // part that is inside a GRU's reset: our fourth.
      let inside = bias[columns.count...]
      return columns.map { bias[$0] } + Array(repeating: 0, count: columns.count - inside.count) + inside
    }

    addOperator(cell, layer, name, size)
  }

  /// As ONNX's GRU: its update gate has the other sense, so that ours is negated, and its reset is open, since nothing but a
  /// bias of 100 goes into it.
  private mutating func addSimpleGRU(_ layer: Int, of model: ModelConfiguration, _ name: String) {
    let size = model.hiddenSizes[layer]
    func rows(_ matrix: MatrixView) -> [Float] {
      let (update, candidate) = (0..<size, size..<2 * size)
      return matrix.transposed(columns: Array(update)).map(-) + Array(repeating: 0, count: size * matrix.rows)
        + matrix.transposed(columns: Array(candidate))
    }
    add(weight: "\(name).W", [1, 3 * size, model.inputSize(ofLayer: layer)]) { rows($0.matrix("\(name).weightInput")) }
    add(weight: "\(name).R", [1, 3 * size, size]) { rows($0.matrix("\(name).weightHidden")) }
    add(weight: "\(name).B", [1, 6 * size]) {
      let bias = $0.matrix("\(name).bias").numbers
      return bias[..<size].map(-) + Array(repeating: 100, count: size) + bias[size...]
        + Array(repeating: 0, count: 3 * size)
    }
    addOperator(model.cell, layer, name, size)
  }

  /// The recurrent operator, and its states.
  private mutating func addOperator(_ cell: Cell, _ layer: Int, _ name: String, _ size: Int) {
    let states = cell.hasCellState ? ["hidden.\(layer)", "cell.\(layer)"] : ["hidden.\(layer)"]
    for state in states {
      graph.input.append(.tensor(state, .float, [.dynamic("batch"), .fixed(size)]))
      graph.output.append(.tensor("\(state).next", .float, [.dynamic("batch"), .fixed(size)]))
      node("Unsqueeze", [state, Self.first], ["\(state).initial"])
    }
    let below = layer == 0 ? "embedded" : "layer.\(layer - 1)"
    node(
      cell.operatorName, [below, "\(name).W", "\(name).R", "\(name).B", ""] + states.map { "\($0).initial" },
      ["\(name).Y"] + states.map { "\($0).final" }, [.int("hidden_size", size)] + cell.attributes)
    node("Squeeze", ["\(name).Y", Self.second], ["layer.\(layer)"])
    for state in states { node("Squeeze", ["\(state).final", Self.first], ["\(state).next"]) }
  }

  /// The embeddings of the last tokens side by side: `embedded` [T, N, window x E].
  private mutating func addWindow(of model: ModelConfiguration) {
    let before = model.window - 1
    guard before > 0 else { return node("Gather", ["embedding", "tokens"], ["embedded"]) }
    graph.input.append(.tensor("context", .float, [.dynamic("batch"), .fixed(before)]))
    graph.output.append(.tensor("context.next", .float, [.dynamic("batch"), .fixed(before)]))
    // Row 0 is that of no token. Axes count from the end: an attribute of 0 is not written.
    graph.initializer += [.list("one", [1]), .list("before", [-Int64(before)]), .list("end", [.max])]
    let sized = "none"
    initializers.append(
      Initializer(name: sized, dims: [1, model.embeddingSize]) { _ in
        Array(repeating: 0, count: model.embeddingSize)
      })
    let none = precision == .half ? "none.single" : sized
    if precision == .half { node("Cast", [sized], [none], [.int("to", TensorProto.DataType.float.rawValue)]) }
    node("Concat", [none, "embedding"], ["table"], [.int("axis", -2)])
    node("Add", ["tokens", "one"], ["numbers"])
    node("Transpose", ["context"], ["context.steps"])
    node("Cast", ["context.steps"], ["context.numbers"], [.int("to", TensorProto.DataType.int64.rawValue)])
    node("Concat", ["context.numbers", "numbers"], ["history"], [.int("axis", -2)])
    for place in 0..<model.window {
      // From `place` on, as many as there are tokens.
      graph.initializer += [
        .list("begin.\(place)", [Int64(place)]), .list("end.\(place)", [place < before ? Int64(place - before) : .max]),
      ]
      node("Slice", ["history", "begin.\(place)", "end.\(place)", Self.first], ["word.\(place)"])
      node("Gather", ["table", "word.\(place)"], ["embedded.\(place)"])
    }
    node("Concat", (0..<model.window).map { "embedded.\($0)" }, ["embedded"], [.int("axis", 2)])
    node("Slice", ["history", "before", "end", Self.first], ["context.last"])
    node("Transpose", ["context.last"], ["context.rows"])
    node("Cast", ["context.rows"], ["context.next"], [.int("to", TensorProto.DataType.float.rawValue)])
  }

  private mutating func addDenseLayer(_ layer: Int, of model: ModelConfiguration) {
    let name = "dense.\(layer)"
    let size = model.hiddenSizes[layer]
    let input = layer == 0 ? model.window * model.embeddingSize : model.hiddenSizes[layer - 1]
    add(weight: "\(name).weight", [input, size]) { $0.matrix("\(name).weight").numbers }
    add(weight: "\(name).bias", [size]) { $0.matrix("\(name).bias").numbers }
    node("MatMul", [layer == 0 ? "embedded" : "layer.\(layer - 1)", "\(name).weight"], ["\(name).products"])
    node("Add", ["\(name).products", "\(name).bias"], ["\(name).sums"])
    let function =
      switch model.activation {
      case .tanh: "Tanh"
      case .relu: "Relu"
      case .sigmoid: "Sigmoid"
      }
    node(function, ["\(name).sums"], ["layer.\(layer)"])
  }

  /// In half precision the file holds `name.half`, which the graph turns into `name`: few runtimes have recurrent
  /// operators of 16 bits.
  private mutating func add(weight name: String, _ dims: [Int], values: @escaping (Parameters) -> [Float]) {
    let stored = precision == .half ? "\(name).half" : name
    initializers.append(Initializer(name: stored, dims: dims, values: values))
    if precision == .half {
      node("Cast", [stored], [name], [.int("to", TensorProto.DataType.float.rawValue)])
    }
  }

  private mutating func node(
    _ type: String, _ inputs: [String], _ outputs: [String], _ attributes: [AttributeProto] = []
  ) {
    graph.node.append(
      .with {
        $0.opType = type
        $0.input = inputs
        $0.output = outputs
        $0.name = "\(type) \(outputs[0])"
        $0.attribute = attributes
      })
  }
}

extension Cell {
  fileprivate var operatorName: String { family.uppercased() }

  /// Our gates in ONNX's order: input, output, forget, cell; update, reset, hidden.
  fileprivate var gateOrder: [Int] { self == .lstm ? [0, 3, 1, 2] : Array(0..<gates) }

  /// What is not as the operator has it by default.
  fileprivate var attributes: [AttributeProto] {
    switch self {
    case .lstm, .gruVanilla, .gruSimple, .rnnTanh: []
    case .gru: [.int("linear_before_reset", 1)]
    case .rnnRelu: [.strings("activations", ["Relu"])]
    case .rnnLeakyRelu: [.strings("activations", ["LeakyRelu"])]  // of slope 0.01, as ours
    case .rnnSigmoid: [.strings("activations", ["Sigmoid"])]
    }
  }
}

extension MatrixView {
  fileprivate var numbers: [Float] { Array(values) }

  /// Some of its columns as rows, in the order given.
  fileprivate func transposed(columns order: [Int]) -> [Float] {
    [Float](unsafeUninitializedCapacity: order.count * rows) { numbers, count in
      for (row, column) in order.enumerated() {
        for index in 0..<rows { numbers[row * rows + index] = pointer[index * columns + column] }
      }
      count = order.count * rows
    }
  }
}

extension AttributeProto {
  fileprivate static func int(_ name: String, _ value: Int) -> Self {
    .with {
      $0.name = name
      $0.type = .int
      $0.i = Int64(value)
    }
  }

  fileprivate static func strings(_ name: String, _ values: [String]) -> Self {
    .with {
      $0.name = name
      $0.type = .strings
      $0.strings = values.map { Data($0.utf8) }
    }
  }
}

extension TensorShapeProto.Dimension {
  fileprivate static func fixed(_ size: Int) -> Self { .with { $0.dimValue = Int64(size) } }
  fileprivate static func dynamic(_ name: String) -> Self { .with { $0.dimParam = name } }
}

extension ValueInfoProto {
  fileprivate static func tensor(
    _ name: String, _ type: TensorProto.DataType, _ shape: [TensorShapeProto.Dimension]
  ) -> Self {
    .with {
      $0.name = name
      $0.type.tensorType.elemType = type
      $0.type.tensorType.shape.dim = shape
    }
  }
}

extension TensorProto {
  /// Whole numbers, [count].
  fileprivate static func list(_ name: String, _ values: [Int64]) -> Self {
    .with {
      $0.name = name
      $0.dims = [Int64(values.count)]
      $0.dataType = .int64
      $0.rawData = values.map(\.littleEndian).withUnsafeBytes { Data($0) }
    }
  }
}
