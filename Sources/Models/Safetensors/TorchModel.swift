import Checkpoints
import Corpus
import Kernels
import Networks
import Training

/// Models as PyTorch's word_language_model example saves and loads them (see `TorchTensor`).
///
/// The metadata has what a `ModelMetadata` tells, under "lockstep.configuration" and so on.
extension TrainedModel {
  /// Writes a file whose tensors `RNNModel` takes with `load_state_dict(strict=True)`, whole or not at all.
  ///
  /// Throws `FileError`, `SafetensorsError` for a model that `RNNModel` cannot be, and
  /// `CheckpointError.tooLargeForHalf` for a number that half precision cannot hold.
  public func save(safetensors path: String, precision: Precision) throws {
    let model = card.configuration.model
    let gates = try torchGates(of: model, path)
    guard model.kind != .recurrent || Set(model.hiddenSizes).count == 1 else {
      throw SafetensorsError(
        path, nil, "expected layers of one size, as PyTorch's have, found model.hiddenSizes \(model.hiddenSizes)",
        remedy: "save such a model as .h5 or .onnx")
    }
    let tensors = TorchTensor.all(model, gates: gates, vocabularySize: card.vocabulary.count)
    let type: TensorType =
      switch precision {
      case .single: .f32
      case .half: .f16
      }
    var metadata = ["format": "pt"]
    for (name, text) in try card.texts() {
      try checkLength(of: text, name, path)
      metadata[Self.prefix + name] = text
    }
    let plan = tensors.map { SafetensorsWriter.Tensor(name: $0.name, type: type, shape: $0.shape) }
    try SafetensorsWriter.write(plan, metadata: metadata, to: path) { index, write in
      for row in 0..<tensors[index].rows {
        let values = parameters.row(row, of: tensors[index])
        switch precision {
        case .single: try values.withUnsafeBytes(write)
        case .half: try Precision.halves(values, of: tensors[index].name).withUnsafeBytes(write)
        }
      }
    }
  }

  /// Reads a file that `save` or PyTorch wrote (see `TorchStateDict`). One that has nothing of ours in its metadata needs the `vocabulary`
  /// that the model was trained with, and the `cell` of a plain recurrent layer (`rnnTanh` or `rnnRelu`); what the file
  /// itself tells must agree with those given.
  ///
  /// Throws `SafetensorsError`, `FileError`, `KernelError`, `ConfigurationError` for a model too large or small, and
  /// what `ModelMetadata.init(texts:source:)` throws.
  public init(safetensors path: String, vocabulary: Vocabulary? = nil, cell: Cell? = nil) throws {
    let state = try TorchStateDict(SafetensorsFile(path))
    let card = try ModelMetadata(state, vocabulary, cell)
    let model = card.configuration.model
    let tensors = TorchTensor.all(
      model, gates: try torchGates(of: model, path), vocabularySize: card.vocabulary.count)
    // Only then is anything allocated, or multiplied: the file has a number for each place.
    try state.check(tensors, isTied: model.tiedWeights)
    let parameters = try Parameters(card.parameterLayout)
    for tensor in tensors { try parameters.read(tensor, from: state) }
    self.init(card: card, parameters: parameters)
  }

  fileprivate static let prefix = "lockstep."
}

extension Parameters {
  /// A row of one of PyTorch's tensors; zeros if PyTorch adds it to another.
  fileprivate func row(_ row: Int, of tensor: TorchTensor) -> [Float] {
    if tensor.isAdded(row) { return [Float](repeating: 0, count: tensor.columns) }
    let (start, stride) = tensor.place(ofRow: row, in: layout)
    return (0..<tensor.columns).map { buffer[start + $0 * stride] }
  }

  /// Takes over the numbers of a tensor, if the file has it.
  fileprivate func read(_ tensor: TorchTensor, from state: TorchStateDict) throws {
    guard let found = state.tensor(tensor.name) else { return }
    let columns = tensor.columns
    var (start, stride, isAdded) = (0, 0, false)
    try state.file.forEachNumber(of: found) { index, value in
      let (row, column) = index.quotientAndRemainder(dividingBy: columns)
      if column == 0 {
        (start, stride) = tensor.place(ofRow: row, in: layout)
        isAdded = tensor.isAdded(row)
      }
      let place = start + column * stride
      // A zero that is added changes nothing, not even the sign of another.
      let sum = isAdded ? (value == 0 ? buffer[place] : buffer[place] + value) : value
      guard sum.isFinite else {
        let place = found.shape.count > 1 ? [row, column] : [row]
        throw state.file.error(
          found.name, "expected finite numbers in single precision, found \(sum) at \(place)",
          remedy: "the training diverged or the file was damaged: take an earlier one")
      }
      buffer[place] = sum
    }
  }
}

extension SafetensorsFile {
  /// What the files that we write tell of their model; nil for others. Throws `SafetensorsError` for a text that is too
  /// long, and what `ModelMetadata.init(texts:source:)` throws.
  public var card: ModelMetadata? {
    get throws {
      let prefix = TrainedModel.prefix
      let ours = metadata.filter { $0.key.hasPrefix(prefix) }
      if ours.isEmpty { return nil }
      let texts = Dictionary(uniqueKeysWithValues: ours.map { (String($0.key.dropFirst(prefix.count)), $0.value) })
      for (name, text) in texts { try checkLength(of: text, name, path) }
      return try ModelMetadata(texts: texts, source: path)
    }
  }
}

extension ModelMetadata {
  /// What a file tells of its model, or, if it has nothing of ours, what its tensors tell.
  fileprivate init(_ state: TorchStateDict, _ vocabulary: Vocabulary?, _ cell: Cell?) throws {
    let file = state.file
    guard let card = try file.card else {
      guard let vocabulary else {
        throw SafetensorsError(
          file.path, "metadata", "expected \(TrainedModel.prefix)vocabulary, found nothing: another program wrote it",
          remedy: "import it with the vocabulary that it was trained with: lockstep import FILE --vocabulary …")
      }
      try self.init(vocabulary: vocabulary, model: state.model(cell))
      return
    }
    self = card
    let told = configuration.model.cell
    guard cell == nil || cell == told else {
      throw SafetensorsError(
        file.path, "metadata", "expected the cell \(cell?.rawValue ?? ""), found \(told.rawValue)",
        remedy: "name no cell: the file tells it")
    }
    guard vocabulary == nil || vocabulary == self.vocabulary else {
      throw SafetensorsError(
        file.path, "metadata",
        "expected the vocabulary given, with \(vocabulary?.count ?? 0) tokens, found another with "
          + "\(self.vocabulary.count)",
        remedy: "name no vocabulary: the file has its own")
    }
  }

  /// Of a model of which nothing but its shape is known.
  private init(vocabulary: Vocabulary, model: ModelConfiguration) throws {
    var configuration = RunConfiguration()
    configuration.model = model
    configuration.corpus.tokenizer = vocabulary.kind
    // A configuration names a text, and nobody knows which.
    configuration.corpus.text = ["unknown"]
    try configuration.validate()
    self.init(
      configuration: configuration, vocabulary: vocabulary, progress: TrainingProgress(), results: RunResults(),
      corpus: CorpusIdentity(),
      provenance: Provenance(program: "", oneDNN: "", instructionSet: "", threads: 0, ranks: 0))
  }
}

/// PyTorch's gates of a model's cell, none of one without cells; or an error that names the file.
private func torchGates(of model: ModelConfiguration, _ path: String) throws -> [Int] {
  guard model.kind == .recurrent else { return [] }
  let cell = model.cell
  if let gates = cell.torchGates { return gates }
  throw SafetensorsError(
    path, nil, "expected a cell that PyTorch has (lstm, gru, rnn-tanh, rnn-relu), found \(cell.rawValue)",
    remedy: "save such a model as .h5 or .onnx")
}

/// Throws for a text of the metadata that is too long. What YAML and JSON are parsed into may take a hundred times
/// their length, so only the two that may have to be long may be.
private func checkLength(of text: String, _ name: String, _ path: String) throws {
  let longest = ["vocabulary": SafetensorsFile.longestHeader, "results": 16 << 20][name] ?? 1 << 20
  guard text.utf8.count > longest else { return }
  throw SafetensorsError(
    path, "metadata",
    "expected at most \(longest) bytes of \(shown(TrainedModel.prefix + name)), found \(text.utf8.count)",
    remedy: "keep such a model in a .h5 file")
}

extension TorchStateDict {
  /// The model that the shapes of the tensors tell. `cell` is needed where they do not: for one gate.
  fileprivate func model(_ cell: Cell?) throws -> ModelConfiguration {
    let hidden = try matrix("rnn.weight_hh_l0")
    let size = hidden.shape[1]
    let count = hidden.shape[0].isMultiple(of: size) ? hidden.shape[0] / size : 0
    let candidates = Cell.allCases.filter { $0.torchGates?.count == count && (cell == nil || cell == $0) }
    guard let found = candidates.first, candidates.count == 1 else {
      let expected =
        cell.map { "the gates of \($0.rawValue)" } ?? "4 gates (lstm), 3 (gru), or 1 and the name of its cell"
      throw file.error(
        hidden.name, "expected \(expected), found \(count) of size \(size)",
        remedy: "name the cell: rnn-tanh or rnn-relu for one gate, and none for more")
    }
    let (encoder, decoder) = (tensor(TorchTensor.encoder), tensor(TorchTensor.decoder))
    let embeddingSize = try matrix(encoder == nil ? "rnn.weight_ih_l0" : TorchTensor.encoder).shape[1]
    let layers = sequence(first: 0) { $0 + 1 }.prefix { tensor("rnn.weight_hh_l\($0)") != nil }
    let sizes = try layers.map { try matrix("rnn.weight_hh_l\($0)").shape[1] }
    let isTied =
      if let encoder, let decoder { file.areIdentical(encoder, decoder) } else { embeddingSize == sizes.last }
    return ModelConfiguration(cell: found, embeddingSize: embeddingSize, hiddenSizes: sizes, tiedWeights: isTied)
  }

  private func matrix(_ name: String) throws -> Tensor {
    guard let tensor = tensor(name) else { throw missing(name, "a matrix") }
    if tensor.shape.count == 2, !tensor.shape.contains(0) { return tensor }
    throw misshapen(tensor, "two sizes of at least 1")
  }

  /// Throws if the tensors are not those expected, each in its shape. Of the two matrices that are one in a tied model,
  /// one may be left out, as `safetensors.torch.save_model` does; if both are there, they must be the same.
  fileprivate func check(_ expected: [TorchTensor], isTied: Bool) throws {
    for tensor in expected {
      guard let found = self.tensor(tensor.name) else {
        let twin = [TorchTensor.encoder: TorchTensor.decoder, TorchTensor.decoder: TorchTensor.encoder][tensor.name]
        if isTied, let twin, self.tensor(twin)?.shape == tensor.shape { continue }
        throw missing(tensor.name, "\(tensor.shape)")
      }
      guard found.shape == tensor.shape else { throw misshapen(found, "\(tensor.shape)") }
      guard !found.shape.contains(0) else { throw misshapen(found, "sizes of at least 1") }
      guard TensorType.readable.contains(found.type) else { throw file.unreadable(found) }
    }
    if let extra = first(besides: Set(expected.map(\.name))) {
      throw file.error(
        extra.name, "expected the tensors of RNNModel alone, found one of shape \(extra.shape)",
        remedy: "take it out, if the model is an RNNModel without it")
    }
    if isTied, let encoder = tensor(TorchTensor.encoder), let decoder = tensor(TorchTensor.decoder),
      !file.areIdentical(encoder, decoder)
    {
      throw file.error(
        decoder.name,
        "expected the numbers of \(encoder.name), since model.tiedWeights is true, found "
          + "others (\(decoder.type.rawValue) \(decoder.shape), \(encoder.type.rawValue) \(encoder.shape))",
        remedy: "save both as one, or without the metadata")
    }
  }

  private func missing(_ name: String, _ expected: String) -> SafetensorsError {
    file.error(
      name, "expected \(expected), found no such tensor among \(file.tensors.count): \(contents)",
      remedy: "save the whole state dict of an RNNModel, or of awd-lstm-lm's")
  }

  private func misshapen(_ tensor: Tensor, _ expected: String) -> SafetensorsError {
    file.error(
      tensor.name, "expected \(expected), found \(tensor.shape)",
      remedy:
        "encoder.weight has a row for each token of the vocabulary, and all shapes are those that the model.* of its "
        + "configuration gives")
  }
}
