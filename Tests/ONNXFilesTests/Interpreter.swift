import Foundation

@testable import ONNXFiles

/// Runs a graph in double precision, one number at a time: the operators that our files use, written down from their
/// documentation (onnx.ai/onnx/operators, opset 17), which knows nothing of how our weights are stored.
struct Interpreter {
  struct Tensor: Equatable {
    var dims: [Int]
    var values: [Double]
  }

  struct Fault: Error {
    let problem: String
  }

  /// All values that the graph names, given its inputs.
  static func run(_ graph: GraphProto, _ inputs: [String: Tensor]) throws -> [String: Tensor] {
    var values = inputs
    for initializer in graph.initializer { values[initializer.name] = try tensor(initializer) }
    for node in graph.node {
      let operands = try node.input.map { name in
        if let value = values[name] ?? (name.isEmpty ? Tensor(dims: [], values: []) : nil) { return value }
        throw Fault(problem: "\(node.name) reads \(name) before it is there")
      }
      for (name, value) in zip(node.output, try apply(node, operands)) { values[name] = value }
    }
    return values
  }

  /// The numbers of an initializer.
  static func tensor(_ tensor: TensorProto) throws -> Tensor {
    let dims = tensor.dims.map { Int($0) }
    let values: [Double]? = tensor.rawData.withUnsafeBytes { bytes in
      switch tensor.dataType {
      case .float: bytes.bindMemory(to: Float.self).map(Double.init)
      case .float16: bytes.bindMemory(to: Float16.self).map(Double.init)
      case .int64: bytes.bindMemory(to: Int64.self).map(Double.init)
      default: nil
      }
    }
    guard let values, values.count == dims.reduce(1, *) else {
      throw Fault(problem: "\(tensor.name) \(dims) in \(tensor.rawData.count) bytes of \(tensor.dataType)")
    }
    return Tensor(dims: dims, values: values)
  }

  private static func apply(_ node: NodeProto, _ input: [Tensor]) throws -> [Tensor] {
    switch node.opType {
    case "Cast":
      switch node.int("to") {
      case TensorProto.DataType.float.rawValue: return [input[0]]
      case TensorProto.DataType.int64.rawValue:
        return [Tensor(dims: input[0].dims, values: input[0].values.map { $0.rounded(.towardZero) })]
      default: throw Fault(problem: "a cast to another type")
      }
    case "Concat":
      let axis = (node.int("axis") + input[0].dims.count) % input[0].dims.count
      let outer = input[0].dims[..<axis].reduce(1, *)
      var dims = input[0].dims
      dims[axis] = input.reduce(0) { $0 + $1.dims[axis] }
      let values = (0..<outer).flatMap { index in
        input.flatMap { part in
          let size = part.values.count / outer
          return part.values[index * size..<(index + 1) * size]
        }
      }
      return [Tensor(dims: dims, values: values)]
    case "Slice":
      guard input[3].values == [0], input[0].dims.count == 2 else { throw Fault(problem: "a slice of another axis") }
      let (rows, width) = (input[0].dims[0], input[0].dims[1])
      let (begin, end) = (input[1].values[0], min(input[2].values[0], Double(rows)))
      let range = Int(begin < 0 ? begin + Double(rows) : begin)..<Int(end < 0 ? end + Double(rows) : end)
      return [
        Tensor(
          dims: [range.count, width],
          values: Array(input[0].values[range.lowerBound * width..<range.upperBound * width]))
      ]
    case "Tanh": return [Tensor(dims: input[0].dims, values: input[0].values.map(tanh))]
    case "Relu": return [Tensor(dims: input[0].dims, values: input[0].values.map { max(0, $0) })]
    case "Sigmoid": return [Tensor(dims: input[0].dims, values: input[0].values.map(sigmoid))]
    case "Gather":
      let width = input[0].dims[1]
      return [
        Tensor(
          dims: input[1].dims + [width],
          values: input[1].values.flatMap { input[0].values[Int($0) * width..<(Int($0) + 1) * width] })
      ]
    case "Unsqueeze":
      var result = input[0]
      result.dims.insert(1, at: Int(input[1].values[0]))
      return [result]
    case "Squeeze":
      var result = input[0]
      guard result.dims.remove(at: Int(input[1].values[0])) == 1 else {
        throw Fault(problem: "a squeeze of more than 1")
      }
      return [result]
    case "Transpose":
      let (rows, columns) = (input[0].dims[0], input[0].dims[1])
      return [
        Tensor(
          dims: [columns, rows],
          values: (0..<columns).flatMap { column in (0..<rows).map { input[0].values[$0 * columns + column] } })
      ]
    case "MatMul":
      let (depth, columns) = (input[1].dims[0], input[1].dims[1])
      guard input[0].dims.last == depth else { throw Fault(problem: "a product of \(input[0].dims), \(input[1].dims)") }
      var values: [Double] = []
      for row in stride(from: 0, to: input[0].values.count, by: depth) {
        for column in 0..<columns {
          let products = (0..<depth).map { input[0].values[row + $0] * input[1].values[$0 * columns + column] }
          values.append(products.reduce(0, +))
        }
      }
      return [Tensor(dims: input[0].dims.dropLast() + [columns], values: values)]
    case "Add":
      let width = input[1].values.count
      guard input[1].dims == [width], width == 1 || input[0].dims.last == width else {
        throw Fault(problem: "a sum of other shapes")
      }
      let values = input[0].values.enumerated().map { $1 + input[1].values[$0 % width] }
      return [Tensor(dims: input[0].dims, values: values)]
    case "LSTM", "GRU", "RNN": return try recurrent(node, input)
    default: throw Fault(problem: "no operator \(node.opType)")
    }
  }

  /// Y, Y_h and, for an LSTM, Y_c, from X, W, R, B, no sequence_lens, initial_h and initial_c.
  private static func recurrent(_ node: NodeProto, _ input: [Tensor]) throws -> [Tensor] {
    let size = node.int("hidden_size")
    let (steps, lanes, width) = (input[0].dims[0], input[0].dims[1], input[0].dims[2])
    let gates = ["LSTM": 4, "GRU": 3, "RNN": 1][node.opType] ?? 0
    guard input[1].dims == [1, gates * size, width], input[2].dims == [1, gates * size, size],
      input[3].dims == [1, 2 * gates * size], input[4].dims == [],
      input.dropFirst(5).allSatisfy({ $0.dims == [1, lanes, size] }), input.count == (gates == 4 ? 7 : 6)
    else { throw Fault(problem: "\(node.name) of \(input.map(\.dims))") }
    func product(_ vector: [Double], _ matrix: Tensor, _ gate: Int) -> [Double] {
      (0..<size).map { unit in
        let row = (gate * size + unit) * vector.count
        return vector.indices.map { vector[$0] * matrix.values[row + $0] }.reduce(0, +)
      }
    }
    func bias(_ part: Int) -> [Double] { Array(input[3].values[part * size..<(part + 1) * size]) }
    let units = 0..<size

    var states = input[5...].map(\.values)
    var output: [Double] = []
    for step in 0..<steps {
      for lane in 0..<lanes {
        let x = Array(input[0].values.dropFirst((step * lanes + lane) * width).prefix(width))
        let h = Array(states[0].dropFirst(lane * size).prefix(size))
        let fromInput = (0..<gates).map { product(x, input[1], $0) }
        let (wb, rb) = ((0..<gates).map(bias), (gates..<2 * gates).map(bias))
        func sum(_ gate: Int) -> [Double] {
          let fromState = product(h, input[2], gate)
          return units.map { fromInput[gate][$0] + fromState[$0] + wb[gate][$0] + rb[gate][$0] }
        }
        var next = [Double](repeating: 0, count: size)
        switch node.opType {
        case "LSTM":
          let (i, o, f, c) = (sum(0).map(sigmoid), sum(1).map(sigmoid), sum(2).map(sigmoid), sum(3).map(tanh))
          for unit in units {
            let place = lane * size + unit
            states[1][place] = f[unit] * states[1][place] + i[unit] * c[unit]
            next[unit] = o[unit] * tanh(states[1][place])
          }
        case "GRU":
          let (z, r) = (sum(0).map(sigmoid), sum(1).map(sigmoid))
          var fromState: [Double]
          if node.int("linear_before_reset") == 0 {
            fromState = product(units.map { r[$0] * h[$0] }, input[2], 2)
            for unit in units { fromState[unit] += rb[2][unit] }
          } else {
            fromState = product(h, input[2], 2)
            for unit in units { fromState[unit] = r[unit] * (fromState[unit] + rb[2][unit]) }
          }
          for unit in units {
            let new = tanh(fromInput[2][unit] + fromState[unit] + wb[2][unit])
            next[unit] = (1 - z[unit]) * new + z[unit] * h[unit]
          }
        default: next = sum(0).map(try activation(node.strings("activations") ?? ["Tanh"]))
        }
        states[0].replaceSubrange(lane * size..<(lane + 1) * size, with: next)
        output += next
      }
    }
    return [Tensor(dims: [steps, 1, lanes, size], values: output)]
      + states.map { Tensor(dims: [1, lanes, size], values: $0) }
  }

  private static func activation(_ names: [String]) throws -> (Double) -> Double {
    switch names {
    case ["Tanh"]: tanh
    case ["Relu"]: { max(0, $0) }
    case ["LeakyRelu"]: { $0 > 0 ? $0 : 0.01 * $0 }
    case ["Sigmoid"]: sigmoid
    default: throw Fault(problem: "no activations \(names)")
    }
  }

  private static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
}

extension NodeProto {
  /// An integer attribute; 0 without it.
  fileprivate func int(_ name: String) -> Int {
    attribute.first { $0.name == name && $0.type == .int }.map { Int($0.i) } ?? 0
  }

  fileprivate func strings(_ name: String) -> [String]? {
    attribute.first { $0.name == name && $0.type == .strings }?.strings.map { String(decoding: $0, as: UTF8.self) }
  }
}
