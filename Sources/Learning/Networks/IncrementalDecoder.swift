import Glibc
import Kernels

/// A model that reads one text, a token at a time, from zero state.
///
/// Where windows of many lanes are learned from, the weights are read once for many tokens, and arithmetic is what takes
/// time; here each token reads all of them once, and memory is. So they are used where they lie, as they are when they are
/// used: nothing is packed, copied or kept.
public final class IncrementalDecoder {
  private let configuration: ModelConfiguration
  private let parameters: Parameters
  private let layers: [Layer]
  private let outputWeight: MatrixView  // [V, H]
  private let outputBias: MatrixView  // [1, V]
  private let logitMemory: FloatBuffer

  /// A layer's state and what it computes with.
  private struct Layer {
    let weights: RecurrentWeights
    let hidden: FloatBuffer
    let cell: FloatBuffer
    /// [gates x H]: of the input, and of the state where they are not simply added.
    let fromInput: FloatBuffer
    let fromState: FloatBuffer
  }

  /// Throws `KernelError.outOfMemory`.
  public init(_ configuration: ModelConfiguration, vocabularySize: Int, parameters: Parameters) throws {
    self.configuration = configuration
    self.parameters = parameters
    let gates = configuration.cell.gates
    layers = try configuration.hiddenSizes.enumerated().map { index, size in
      Layer(
        weights: parameters.recurrentWeights(configuration.cell, layer: index), hidden: try FloatBuffer(size),
        cell: try FloatBuffer(size), fromInput: try FloatBuffer(gates * size), fromState: try FloatBuffer(gates * size))
    }
    outputWeight = parameters.matrix(configuration.tiedWeights ? "embedding" : "output.weight")
    outputBias = parameters.matrix("output.bias")
    logitMemory = try FloatBuffer(vocabularySize)
  }

  /// Reads a token. Traps if the vocabulary has no such.
  public func read(_ token: Int32) throws {
    let embedding = parameters.matrix("embedding")
    var below = embedding.rows(Int(token)..<Int(token) + 1)
    for layer in layers {
      try step(layer, input: below)
      below = layer.hidden.matrix(rows: 1, columns: layer.hidden.count)
    }
  }

  /// Logits of the token after those that were read, one for each of the vocabulary. Valid until asked for again.
  public func logits() throws -> UnsafeBufferPointer<Float> {
    let logits = logitMemory.matrix(rows: 1, columns: logitMemory.count)
    logits.copy(from: outputBias)
    if let top = layers.last?.hidden {
      try multiply(top.matrix(rows: 1, columns: top.count), outputWeight.transposed, into: logits, adding: true)
    }
    return UnsafeBufferPointer(logits.values)
  }

  /// One step of a layer; the equations are those that `Cell` names.
  private func step(_ layer: Layer, input: MatrixView) throws {
    let size = layer.hidden.count
    let columns = layer.fromInput.count
    let hidden = layer.hidden.matrix(rows: 1, columns: size)
    let fromInput = layer.fromInput.matrix(rows: 1, columns: columns)
    let fromState = layer.fromState.matrix(rows: 1, columns: columns)
    let (x, s, h, c) = (fromInput.pointer, fromState.pointer, hidden.pointer, layer.cell.pointer)
    fromInput.copy(from: MatrixView(pointer: layer.weights.bias.pointer, rows: 1, columns: columns))
    try multiply(input, layer.weights.input, into: fromInput, adding: true)

    switch configuration.cell {
    case .lstm:
      try multiply(hidden, layer.weights.hidden, into: fromInput, adding: true)
      for i in 0..<size {
        c[i] = sigmoid(x[size + i]) * c[i] + sigmoid(x[i]) * tanh(x[2 * size + i])
        h[i] = sigmoid(x[3 * size + i]) * tanh(c[i])
      }
    case .gru:
      try multiply(hidden, layer.weights.hidden, into: fromState)
      let insideReset = layer.weights.bias.pointer + columns
      for i in 0..<size {
        let update = sigmoid(x[i] + s[i])
        let reset = sigmoid(x[size + i] + s[size + i])
        let new = tanh(x[2 * size + i] + reset * (s[2 * size + i] + insideReset[i]))
        h[i] = update * h[i] + (1 - update) * new
      }
    case .gruVanilla:
      try multiply(hidden, layer.weights.hidden, into: fromState)
      let kept = layer.cell.matrix(rows: 1, columns: size)  // no cell state here: room for the state after the reset
      for i in 0..<size {
        x[i] = sigmoid(x[i] + s[i])
        kept.pointer[i] = sigmoid(x[size + i] + s[size + i]) * h[i]
      }
      try multiply(kept, layer.weights.hidden, into: fromState)
      for i in 0..<size { h[i] = x[i] * h[i] + (1 - x[i]) * tanh(x[2 * size + i] + s[2 * size + i]) }
    case .rnnTanh, .rnnRelu, .rnnSigmoid:
      try multiply(hidden, layer.weights.hidden, into: fromInput, adding: true)
      for i in 0..<size {
        h[i] =
          switch configuration.cell {
          case .rnnRelu: max(0, x[i])
          case .rnnSigmoid: sigmoid(x[i])
          default: tanh(x[i])
          }
      }
    }
  }
}

private func sigmoid(_ x: Float) -> Float { 1 / (1 + exp(-x)) }
