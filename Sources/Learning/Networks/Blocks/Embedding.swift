import Kernels

/// Embeddings of the tokens read, side by side: of the last `window` of them, the oldest first. Where a text has not had so
/// many, zeros stand in their place.
struct Embedding: InputPart {
  let table: ParameterKey
  let size: Int
  let window: Int
  /// Of a window of more than one token: the tokens before, as numbers from 1; 0 is none.
  let context: StateKey?

  /// `deviation` is that of the numbers at first. `isShared` says that the output layer uses the table too.
  init(vocabularySize: Int, size: Int, window: Int = 1, isShared: Bool, _ builder: inout NetworkBuilder) {
    table = builder.add(
      "embedding", [vocabularySize, size], .normal(deviation: isShared ? 1 / Float(size).squareRoot() : 1),
      rows: .vocabulary, isSparse: !isShared, accumulates: true)
    self.size = size
    self.window = window
    context = window > 1 ? builder.addState("context", size: window - 1) : nil
  }

  var outputSize: Int { window * size }

  func makeBlock(_ parameters: Parameters, _ shape: NetworkShape) throws -> any InputBlock {
    try EmbeddingBlock(self, parameters, rows: shape.rows, lanes: shape.lanes)
  }

  func makeDecoder(_ parameters: Parameters) throws -> any InputDecoder { try EmbeddingDecoder(self, parameters) }

  func floats(_ shape: NetworkShape) -> Double { Double(shape.steps) * Double(shape.lanes) * Double(outputSize) }
}

private final class EmbeddingBlock: InputBlock {
  private let part: Embedding
  private let parameters: Parameters
  private let output: FloatBuffer
  /// Tokens of each position's window, oldest first; -1 is none.
  private var tokens: [Int32]

  init(_ part: Embedding, _ parameters: Parameters, rows: Int, lanes: Int) throws {
    self.part = part
    self.parameters = parameters
    output = try FloatBuffer(rows * part.outputSize)
    tokens = part.window > 1 ? Array(repeating: -1, count: rows * part.window) : []
  }

  func forward(_ pass: Pass) -> MatrixView {
    let table = parameters[part.table]
    for token in pass.inputs {
      precondition(token >= 0 && token < table.rows, "token \(token) in a vocabulary of \(table.rows)")
    }
    let output = output.matrix(rows: pass.inputs.count, columns: part.outputSize)
    if part.window > 1 { gatherWindows(pass) }
    withTokens(pass) { tokens in
      for (place, token) in tokens.enumerated() {
        let to = output.pointer + place * part.size
        if token >= 0 {
          to.update(from: table.pointer + Int(token) * part.size, count: part.size)
        } else {
          to.update(repeating: 0, count: part.size)
        }
      }
    }
    return output
  }

  func backward(_ dy: MatrixView, _ pass: Pass, _ sink: GradientSink) throws {
    let table = sink[part.table]
    withTokens(pass) { tokens in
      for (place, token) in tokens.enumerated() where token >= 0 {
        let (from, to) = (dy.pointer + place * part.size, table.row(Int(token)))
        for column in 0..<part.size { to[column] += from[column] }
      }
      sink.touched(part.table, tokens)
    }
    try sink.ready([part.table])
  }

  /// A window of one token is the input itself.
  private func withTokens(_ pass: Pass, _ body: (UnsafeBufferPointer<Int32>) throws -> Void) rethrows {
    guard part.window > 1 else { return try body(pass.inputs) }
    try tokens.withUnsafeBufferPointer {
      try body(UnsafeBufferPointer(rebasing: $0[..<(pass.inputs.count * part.window)]))
    }
  }

  private func gatherWindows(_ pass: Pass) {
    guard let key = part.context else { return }
    let (window, before, after) = (part.window, pass.states[key], pass.states.after(key))
    for row in 0..<(pass.active.counts.first ?? 0) {
      var history = (0..<window - 1).map { Int32(before.row(row)[$0]) - 1 }
      for step in 0..<pass.active.steps where row < pass.active.counts[step] {
        let place = pass.active.offsets[step] + row
        history.append(pass.inputs[place])
        for index in 0..<window { tokens[place * window + index] = history[index] }
        history.removeFirst()
      }
      for (index, token) in history.enumerated() { after.row(row)[index] = Float(token + 1) }
    }
  }
}

private final class EmbeddingDecoder: InputDecoder {
  private let part: Embedding
  private let table: MatrixView
  private let output: FloatBuffer

  init(_ part: Embedding, _ parameters: Parameters) throws {
    self.part = part
    table = parameters[part.table]
    output = try FloatBuffer(part.outputSize)
  }

  func step(_ token: Int32, _ states: RowStates) -> MatrixView {
    precondition(token >= 0 && token < table.rows, "token \(token) in a vocabulary of \(table.rows)")
    guard let key = part.context else { return table.rows(Int(token)..<Int(token) + 1) }
    let context = states[key].pointer
    for index in 0..<part.window {
      let read = index < part.window - 1 ? Int(context[index]) - 1 : Int(token)
      let to = output.pointer + index * part.size
      if read >= 0 {
        to.update(from: table.row(read), count: part.size)
      } else {
        to.update(repeating: 0, count: part.size)
      }
    }
    for index in 0..<part.window - 1 {
      context[index] = index + 1 < part.window - 1 ? context[index + 1] : Float(token + 1)
    }
    return output.matrix(rows: 1, columns: part.outputSize)
  }
}
