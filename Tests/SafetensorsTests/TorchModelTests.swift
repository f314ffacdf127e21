import Checkpoints
import Corpus
import Foundation
import Kernels
import Networks
import TestSupport
import Testing
import Training

@testable import Safetensors

/// Models as PyTorch's RNNModel has them.
@Suite struct TorchModelTests {
  static let cells: [Cell] = [.lstm, .gru, .rnnTanh, .rnnRelu]

  // MARK: - What is written

  @Test(arguments: cells, [false, true])
  func everythingReadsBackExactly(cell: Cell, tied: Bool) throws {
    let folder = try TemporaryFolder()
    let written = try randomModel(cell, tied: tied)
    try written.save(safetensors: folder.file("a.safetensors"), precision: .single)
    let read = try TrainedModel(safetensors: folder.file("a.safetensors"))
    #expect(read.bits == written.bits)
    #expect(read.card.configuration == written.card.configuration)
    #expect(read.card.vocabulary == written.card.vocabulary)
    #expect(read.card.progress == written.card.progress)
    #expect(read.card.results == written.card.results)
    #expect(read.card.corpus == written.card.corpus)
    #expect(read.card.provenance == written.card.provenance)
    // And is written again as it was.
    try read.save(safetensors: folder.file("b.safetensors"), precision: .single)
    let files = try ["a", "b"].map { try Data(contentsOf: URL(fileURLWithPath: folder.file("\($0).safetensors"))) }
    #expect(files[0] == files[1])
  }

  @Test(arguments: cells, [false, true])
  func halfPrecisionRoundsEachNumber(cell: Cell, tied: Bool) throws {
    let folder = try TemporaryFolder()
    let written = try randomModel(cell, tied: tied)
    let path = folder.file("a.safetensors")
    try written.save(safetensors: path, precision: .half)
    #expect(try SafetensorsFile(path).tensors.allSatisfy { $0.type == .f16 })
    let read = try TrainedModel(safetensors: path)
    #expect(read.bits == written.parameters.buffer.values.map { Float(Float16($0)).bitPattern })
    #expect(read.card.configuration == written.card.configuration)

    written.parameters.matrix("embedding").pointer[5] = 70000
    #expect(throws: CheckpointError.tooLargeForHalf(tensor: tied ? "decoder.weight" : "encoder.weight", value: 70000)) {
      try written.save(safetensors: path, precision: .half)
    }
    #expect(try TrainedModel(safetensors: path).bits == read.bits, "the file that was there stays")
  }

  @Test func namesAndShapesAreThoseOfRNNModel() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    try randomModel(.lstm, embeddingSize: 3, hiddenSizes: [4, 4]).save(safetensors: path, precision: .single)
    let file = try SafetensorsFile(path)
    #expect(
      Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0.shape) }) == [
        "encoder.weight": [7, 3], "rnn.weight_ih_l0": [16, 3], "rnn.weight_hh_l0": [16, 4], "rnn.bias_ih_l0": [16],
        "rnn.bias_hh_l0": [16], "rnn.weight_ih_l1": [16, 4], "rnn.weight_hh_l1": [16, 4], "rnn.bias_ih_l1": [16],
        "rnn.bias_hh_l1": [16], "decoder.weight": [7, 4], "decoder.bias": [7],
      ])
    #expect(file.metadata["format"] == "pt" && file.metadata["lockstep.tokenizer"] == "words")

    try randomModel(.gru, tied: true, hiddenSizes: [4]).save(safetensors: path, precision: .single)
    let tied = try SafetensorsFile(path)
    let (encoder, decoder) = (try #require(tied.tensor("encoder.weight")), try #require(tied.tensor("decoder.weight")))
    #expect(encoder.shape == [7, 4] && tied.areIdentical(encoder, decoder))
  }

  /// Each gate's numbers, of a layer of two units, stand where PyTorch has them.
  @Test func gatesStandInPyTorchsOrder() throws {
    let folder = try TemporaryFolder()
    func tensors(_ cell: Cell) throws -> [String: [UInt8]] {
      let model = try randomModel(cell, embeddingSize: 1, hiddenSizes: [2])
      let parameters = model.parameters
      for name in ["weightInput", "bias"] {  // 10 times the gate, as we order them, plus the unit
        let values = parameters.matrix("\(cell.family).0.\(name)").values
        for index in values.indices { values[index] = Float(10 * (index / 2) + index % 2) }
      }
      let hidden = parameters.matrix("\(cell.family).0.weightHidden")  // and 100 times the input, from 1
      for index in hidden.values.indices {
        hidden.values[index] = Float(100 * (1 + index / hidden.columns) + 10 * (index % hidden.columns / 2) + index % 2)
      }
      try model.save(safetensors: folder.file("a.safetensors"), precision: .single)
      return Dictionary(
        uniqueKeysWithValues: try RawTensor.all(in: folder.file("a.safetensors")).map { ($0.name, $0.bytes) })
    }
    func bytes(_ values: [Float]) -> [UInt8] { values.flatMap { littleEndian($0.bitPattern) } }

    let lstm = try tensors(.lstm)  // input, forget, cell, output; so are ours
    #expect(lstm["rnn.weight_ih_l0"] == bytes([0, 1, 10, 11, 20, 21, 30, 31]))
    #expect(
      lstm["rnn.weight_hh_l0"]
        == bytes([100, 200, 101, 201, 110, 210, 111, 211, 120, 220, 121, 221, 130, 230, 131, 231]))
    #expect(lstm["rnn.bias_ih_l0"] == bytes([0, 1, 10, 11, 20, 21, 30, 31]))
    #expect(lstm["rnn.bias_hh_l0"] == bytes([0, 0, 0, 0, 0, 0, 0, 0]))

    let gru = try tensors(.gru)  // reset, update, new; ours are update, reset, new, and new inside the reset
    #expect(gru["rnn.weight_ih_l0"] == bytes([10, 11, 0, 1, 20, 21]))
    #expect(gru["rnn.weight_hh_l0"] == bytes([110, 210, 111, 211, 100, 200, 101, 201, 120, 220, 121, 221]))
    #expect(gru["rnn.bias_ih_l0"] == bytes([10, 11, 0, 1, 20, 21]))
    #expect(gru["rnn.bias_hh_l0"] == bytes([0, 0, 0, 0, 30, 31]))
  }

  @Test(arguments: cells)
  func pyTorchsEquationsGiveOurLogits(cell: Cell) throws {
    let folder = try TemporaryFolder()
    let model = try randomModel(cell, embeddingSize: 5, hiddenSizes: [6, 6])
    try model.save(safetensors: folder.file("a.safetensors"), precision: .single)
    let torch = TorchReference(try RawTensor.all(in: folder.file("a.safetensors")))
    for tokens: [Int32] in [[0], [3, 1, 4, 1, 5], [6, 6, 2]] {
      let expected = torch.logits(cell, after: tokens)
      #expect(relativeDifference(try model.logits(after: tokens), expected) < 1e-5)
    }
  }

  @Test func whatPyTorchHasNotIsNotWritten() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    for cell in [Cell.gruVanilla, .rnnSigmoid] {
      expectError(path, "expected a cell that PyTorch has", "found \(cell.rawValue)", ".h5 or .onnx") {
        try randomModel(cell).save(safetensors: path, precision: .single)
      }
    }
    expectError("expected layers of one size", "found model.hiddenSizes [4, 5]", ".h5 or .onnx") {
      try randomModel(.lstm, hiddenSizes: [4, 5]).save(safetensors: path, precision: .single)
    }
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  // MARK: - What others wrote

  /// The tensors of a model as PyTorch has them after training: with two biases.
  private func foreign(_ cell: Cell, tied: Bool = false) throws -> [RawTensor] {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    try randomModel(cell, tied: tied, hiddenSizes: [4, 4]).save(safetensors: path, precision: .single)
    var random = SeededRandom(seed: 5)
    return try RawTensor.all(in: path).map { tensor in
      guard tensor.name.contains("bias_hh") else { return tensor }
      let count = tensor.bytes.count / 4
      return RawTensor(tensor.name, tensor.shape, (0..<count).map { _ in .random(in: -1...1, using: &random) })
    }
  }

  private func load(
    _ tensors: [RawTensor], metadata: [String: String]? = nil, entries: [String]? = words, cell: Cell? = nil
  ) throws -> TrainedModel {
    let folder = try TemporaryFolder()
    let path = try folder.write("a.safetensors", fileBytes(tensors, metadata: metadata))
    return try TrainedModel(
      safetensors: path, vocabulary: entries.map { try Vocabulary(kind: .words, entries: $0) }, cell: cell)
  }

  @Test(arguments: cells, [false, true])
  func aForeignFileIsTakenOver(cell: Cell, tied: Bool) throws {
    let tensors = try foreign(cell, tied: tied)
    let model = try load(tensors, metadata: ["format": "pt"], cell: cell.gates == 1 ? cell : nil)
    let shape = model.card.configuration.model
    #expect(shape.cell == cell && shape.hiddenSizes == [4, 4] && shape.embeddingSize == (tied ? 4 : 3))
    #expect(shape.tiedWeights == tied && shape.dropout == 0)
    #expect(model.card.progress == TrainingProgress() && model.card.vocabulary.entries == words)
    let tokens: [Int32] = [3, 1, 4, 1, 5]
    let expected = TorchReference(tensors).logits(cell, after: tokens)
    #expect(relativeDifference(try model.logits(after: tokens), expected) < 1e-5)
    // As a model file it stays what it is.
    let folder = try TemporaryFolder()
    try model.save(to: folder.file("a.h5"), precision: .single)
    #expect(try TrainedModel(modelFile: folder.file("a.h5")).bits == model.bits)
  }

  /// `safetensors.torch.save_model` leaves out one of two tensors that share their memory.
  @Test(arguments: ["encoder.weight", "decoder.weight"])
  func aTiedModelMayHaveItsMatrixOnce(name: String) throws {
    let tensors = try foreign(.lstm, tied: true)
    let whole = try load(tensors)
    let once = try load(tensors.filter { $0.name != name })
    #expect(once.bits == whole.bits && once.card.configuration == whole.card.configuration)
  }

  /// What wrapped a model when its state dict was saved is no part of it.
  @Test(arguments: [
    ("module.", "rnn."), ("_orig_mod.", "rnn."), ("module._orig_mod.", "rnn."), ("model.", "rnn."), ("rnn.", "rnn."),
    ("net.encoder.", "rnn."), ("", "rnn.module."), ("", "rnn._orig_mod."), ("a.", "rnn.module._orig_mod."),
  ])
  func wrappersAreTakenOff(prefix: String, layers: String) throws {
    func wrapped(_ name: String) -> String { prefix + name.replacingOccurrences(of: "rnn.", with: layers) }
    let tensors = try foreign(.lstm)
    let renamed = tensors.map { tensor in
      var tensor = tensor
      tensor.name = wrapped(tensor.name)
      return tensor
    }
    #expect(renamed.map(\.name) != tensors.map(\.name))
    #expect(try load(renamed).bits == load(tensors).bits)
    // Errors name tensors as the file does, and what there is.
    expectError(
      #"tensor "decoder.bias": expected [7], found no such tensor among 10: ""#,
      #""\#(wrapped("encoder.weight"))" [7, 3], "#
    ) { _ = try load(renamed.filter { !$0.name.hasSuffix("decoder.bias") }) }
    var misshapen = renamed
    let place = try #require(renamed.firstIndex { $0.name.hasSuffix("weight_ih_l0") })
    misshapen[place].shape = [3, 16]
    expectError(#"tensor "\#(renamed[place].name)": expected [16, 3], found [3, 16]"#) { _ = try load(misshapen) }
  }

  /// However long and nested names are, an error comes at once and is short.
  @Test func namesOfAnyLengthAreRefused() throws {
    let deep = String(repeating: "a.", count: 1_000_000)
    let long = String(repeating: "_l0", count: 1_000_000) + "_raw"
    for prefix in [deep, long, String(repeating: ".", count: 1_000_000)] {
      let renamed = try foreign(.lstm).map { tensor in
        var tensor = tensor
        tensor.name = prefix + tensor.name
        return tensor
      }
      let said = message { _ = try load(renamed) }
      #expect(said.contains("found no such tensor among 11") && said.utf8.count < 5_000, "\(said.prefix(500))")
    }
  }

  @Test func twoModelsInOneFileAreRefused() throws {
    let tensors = try foreign(.lstm)
    var copy = tensors[0]
    copy.name = "module.\(copy.name)"
    expectError("expected one tensor that is \(tensors[0].name), found \"\(tensors[0].name)\" too") {
      _ = try load(tensors + [copy])
    }
  }

  /// awd-lstm-lm: a module for each layer, their sizes differ, and WeightDrop keeps what it drops from.
  @Test(arguments: [false, true], [false, true])
  func modelsOfAWDLSTMAreTakenOver(tied: Bool, drops: Bool) throws {
    let shape = ModelConfiguration(
      cell: .lstm, embeddingSize: 3, hiddenSizes: [5, 5, tied ? 3 : 4], tiedWeights: tied)
    var random = SeededRandom(seed: 3)
    func tensor(_ name: String, _ shape: [Int]) -> RawTensor {
      RawTensor(name, shape, (0..<shape.reduce(1, *)).map { _ in .random(in: -1...1, using: &random) })
    }
    var tensors = [tensor("encoder.weight", [7, 3])]
    for (layer, size) in shape.hiddenSizes.enumerated() {
      let path = "rnns.\(layer)\(drops ? ".module" : "")"
      tensors += [
        tensor("\(path).weight_ih_l0", [4 * size, shape.inputSize(ofLayer: layer)]),
        tensor("\(path).weight_hh_l0\(drops ? "_raw" : "")", [4 * size, size]),
        tensor("\(path).bias_ih_l0", [4 * size]), tensor("\(path).bias_hh_l0", [4 * size]),
      ]
    }
    tensors.append(tensor("decoder.bias", [7]))
    var decoder = tied ? tensors[0] : tensor("decoder.weight", [7, 4])
    decoder.name = "decoder.weight"
    tensors.append(decoder)
    let model = try load(tensors)
    #expect(model.card.configuration.model == shape)
    // The same numbers under the names of one module, which PyTorch's equations are written for.
    let plain = tensors.map { tensor in
      var tensor = tensor
      tensor.name = tensor.name.replacing(#/rnns\.([0-9])(?:\.module)?\.(.*)_l0(?:_raw)?/#) { "rnn.\($0.2)_l\($0.1)" }
      return tensor
    }
    let expected = TorchReference(plain).logits(.lstm, after: [3, 1, 4, 1, 5])
    #expect(relativeDifference(try model.logits(after: [3, 1, 4, 1, 5]), expected) < 1e-5)
    guard drops else { return }
    // Later versions of PyTorch also save the copy, with numbers dropped.
    var copies = tensors
    for (index, raw) in tensors.enumerated() where raw.name.hasSuffix("_raw") {
      var copy = RawTensor(raw.name, raw.shape, [Float](repeating: 0, count: raw.bytes.count / 4))
      copy.name.removeLast(4)
      copies.insert(copy, at: index.isMultiple(of: 2) ? 0 : copies.count)
    }
    #expect(copies.count == tensors.count + 3)
    #expect(try load(copies).bits == model.bits)
  }

  @Test func aForeignFileNeedsItsVocabularyAndItsCell() throws {
    let tensors = try foreign(.lstm)
    expectError("metadata: expected lockstep.vocabulary, found nothing", "--vocabulary") {
      _ = try load(tensors, entries: nil)
    }
    expectError(#"tensor "encoder.weight": expected [6, 3], found [7, 3]"#, "a row for each token") {
      _ = try load(tensors, entries: words.dropLast())
    }
    expectError(#"tensor "rnn.weight_hh_l0": expected the gates of gru, found 4 of size 4"#) {
      _ = try load(tensors, cell: .gru)
    }
    expectError("1 and the name of its cell, found 1 of size 4", "name the cell: rnn-tanh or rnn-relu") {
      _ = try load(foreign(.rnnTanh))
    }
    expectError("expected the gates of rnn-sigmoid") { _ = try load(foreign(.rnnTanh), cell: .rnnSigmoid) }
    expectError("expected the gates of gru-vanilla") { _ = try load(foreign(.gru), cell: .gruVanilla) }
  }

  // MARK: - What does not fit

  private struct Change {
    let says: [String]
    let change: (inout [RawTensor]) -> Void

    init(_ says: String..., change: @escaping (inout [RawTensor]) -> Void) {
      self.says = says
      self.change = change
    }
  }

  @Test func tensorsThatDoNotFitAreNamed() throws {
    let infinite = Float.infinity
    func place(_ tensors: [RawTensor], _ name: String) -> Int { tensors.firstIndex { $0.name == name } ?? -1 }
    let changes = [
      Change(#"tensor "decoder.bias": expected [7], found no such tensor among 10"#) {
        $0.removeAll { $0.name == "decoder.bias" }
      },
      Change(#"tensor "rnn.weight_hh_l0": expected a matrix, found no such"#) {
        $0.removeAll { $0.name.contains("_l0") }
      },
      Change(#"tensor "encoder.weight": expected [7, 3], found no such tensor"#, "the whole state dict") {
        $0.removeAll { $0.name == "encoder.weight" }
      },
      Change(#"tensor "decoder.weight": expected [7, 4], found no such tensor"#) {
        $0.removeAll { $0.name == "decoder.weight" }
      },
      Change(#"tensor "rnn.weight_ih_l1": expected [16, 4], found no such"#) {
        $0[place($0, "rnn.weight_ih_l1")].name = "rnn.weight_ih_l2"
      },
      Change(#"tensor "rnn.weight_hh_l0_reverse": expected the tensors of RNNModel alone, found one of shape [2]"#) {
        $0.append(RawTensor("rnn.weight_hh_l0_reverse", [2], [1, 2]))
      },
      Change(#"tensor "rnn.weight_ih_l0": expected [16, 3], found [3, 16]"#) {
        $0[place($0, "rnn.weight_ih_l0")].shape = [3, 16]
      },
      Change(#"tensor "rnn.bias_hh_l1": expected [16], found [4, 4]"#) {
        $0[place($0, "rnn.bias_hh_l1")].shape = [4, 4]
      },
      Change(#"tensor "rnn.bias_ih_l1": expected [16], found [17]"#) {
        $0[place($0, "rnn.bias_ih_l1")] = RawTensor("rnn.bias_ih_l1", [17], [Float](repeating: 0, count: 17))
      },
      Change(#"tensor "rnn.weight_hh_l0": expected two sizes of at least 1, found [64]"#) {
        $0[place($0, "rnn.weight_hh_l0")].shape = [64]
      },
      Change(#"tensor "encoder.weight": expected two sizes of at least 1, found [7, 0]"#) {
        $0[place($0, "encoder.weight")] = RawTensor("encoder.weight", [7, 0], [])
      },
      Change(#"tensor "rnn.weight_hh_l0": expected two sizes of at least 1, found [0, 4611686018427387904]"#) {
        $0[place($0, "rnn.weight_hh_l0")] = RawTensor("rnn.weight_hh_l0", [0, 1 << 62], [])
      },
      Change(#"tensor "rnn.weight_hh_l0": expected 4 gates (lstm), 3 (gru)"#, "found 2 of size 4") {
        $0[place($0, "rnn.weight_hh_l0")] = RawTensor("rnn.weight_hh_l0", [8, 4], [Float](repeating: 0, count: 32))
      },
      Change(#"tensor "rnn.bias_hh_l0": expected floats, found I32"#) { $0[place($0, "rnn.bias_hh_l0")].type = "I32" },
      Change(#"tensor "encoder.weight": expected finite numbers"#, "found nan at [1, 2]", "diverged") {
        $0[place($0, "encoder.weight")].bytes.replaceSubrange(20..<24, with: littleEndian(Float.nan.bitPattern))
      },
      Change(#"tensor "rnn.weight_hh_l1": expected finite numbers"#, "found inf at [15, 3]") {
        $0[place($0, "rnn.weight_hh_l1")].bytes.replaceSubrange(252..., with: littleEndian(infinite.bitPattern))
      },
      Change(#"tensor "rnn.bias_hh_l0": expected finite numbers"#, "found -inf at [0]") {
        for name in ["rnn.bias_ih_l0", "rnn.bias_hh_l0"] {
          $0[place($0, name)].bytes.replaceSubrange(
            ..<4, with: littleEndian((-Float.greatestFiniteMagnitude).bitPattern))
        }
      },
      Change(#"tensor "decoder.bias": expected finite numbers"#, "found inf at [6]") {
        let values = [0, 0, 0, 0, 0, 0, 1e300].flatMap { littleEndian($0.bitPattern) }
        $0[place($0, "decoder.bias")].bytes = values
        $0[place($0, "decoder.bias")].type = "F64"
      },
      Change(#"tensor "rnn.weight_ih_l1": expected it to begin where"#, "found an overlap") {
        let size = $0[place($0, "rnn.weight_ih_l1")].bytes.count
        $0[place($0, "rnn.weight_ih_l1")].offsets = [0, size]
      },
    ]
    for change in changes {
      var tensors = try foreign(.lstm)
      change.change(&tensors)
      let message = message { _ = try load(tensors) }
      for part in change.says + ["a.safetensors"] { #expect(message.contains(part), "\"\(part)\" in: \(message)") }
    }
  }

  @Test func metadataMustAgreeWithTheTensors() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("whole.safetensors")
    try randomModel(.lstm).save(safetensors: path, precision: .single)
    let tensors = try RawTensor.all(in: path)
    let metadata = try SafetensorsFile(path).metadata
    func load(_ key: String, _ change: (String) -> String?, _ tensors: [RawTensor] = tensors) throws {
      var metadata = metadata
      metadata["lockstep.\(key)"] = change(metadata["lockstep.\(key)"] ?? "")
      _ = try self.load(tensors, metadata: metadata, entries: nil)
    }
    func replacing(_ old: String, _ new: String) -> (String) -> String {
      { text in
        #expect(text.contains(old))
        return text.replacingOccurrences(of: old, with: new)
      }
    }
    #expect(throws: Never.self) { try load("configuration") { $0 } }
    expectError(#"tensor "rnn.weight_ih_l1": expected [20, 4], found [16, 4]"#) {
      try load("configuration", replacing("hiddenSizes: [4, 4]", "hiddenSizes: [4, 5]"))
    }
    expectError(#"tensor "rnn.weight_ih_l2": expected [16, 4], found no such"#) {
      try load("configuration", replacing("hiddenSizes: [4, 4]", "hiddenSizes: [4, 4, 4]"))
    }
    expectError(#"tensor "rnn.bias_hh_l1": expected the tensors of RNNModel alone, found one of shape [16]"#) {
      try load("configuration", replacing("hiddenSizes: [4, 4]", "hiddenSizes: [4]"))
    }
    expectError(#"tensor "encoder.weight": expected [7, 9], found [7, 3]"#) {
      try load("configuration", replacing("embeddingSize: 3", "embeddingSize: 9"))
    }
    expectError(#"tensor "rnn.weight_ih_l0": expected [12, 3], found [16, 3]"#) {
      try load("configuration", replacing("cell: lstm", "cell: gru"))
    }
    expectError("expected a cell that PyTorch has", "found gru-vanilla") {
      try load("configuration", replacing("cell: lstm", "cell: gru-vanilla"))
    }
    for size in ["4611686018427387904", "9223372036854775807"] {
      expectError("a.safetensors, configuration", "model.hiddenSizes is [\(size), 4]") {
        try load("configuration", replacing("hiddenSizes: [4, 4]", "hiddenSizes: [\(size), 4]"))
      }
      expectError("a.safetensors, configuration", "model.embeddingSize is \(size)") {
        try load("configuration", replacing("embeddingSize: 3", "embeddingSize: \(size)"))
      }
    }
    expectError(#"metadata: expected at most 1048576 bytes of "lockstep.configuration", found 2000000"#, ".h5") {
      try load("configuration") { _ in String(repeating: "1,", count: 1_000_000) }
    }
    expectError("whole number") { try load("configuration", replacing("embeddingSize: 3", "embeddingSize: 1e30")) }
    expectError("expected tokenizer, found nothing") { try load("tokenizer") { _ in nil } }
    expectError("expected a tokenizer this program has, found letters") { try load("tokenizer") { _ in "letters" } }
    expectError(#"tensor "encoder.weight": expected [8, 3], found [7, 3]"#) {
      try load("vocabulary", replacing("\"dog\"", "\"dog\",\"bird\""))
    }
    for key in ["progress", "results", "corpus", "provenance", "vocabulary", "configuration"] {
      for nested in [
        String(repeating: "[", count: 100_000), String(repeating: "{\"a\":", count: 50_000), "{", "[]", "7",
      ] {
        #expect(message { try load(key) { _ in nested } } != "", "\(key)")
      }
    }
  }

  @Test func aTiedModelWhoseMatricesDifferIsRefused() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("whole.safetensors")
    try randomModel(.lstm, tied: true).save(safetensors: path, precision: .single)
    var tensors = try RawTensor.all(in: path)
    let decoder = try #require(tensors.firstIndex { $0.name == "decoder.weight" })
    tensors[decoder].bytes[7] ^= 1
    expectError(#"tensor "decoder.weight": expected the numbers of encoder.weight, since model.tiedWeights is true"#) {
      _ = try load(tensors, metadata: SafetensorsFile(path).metadata, entries: nil)
    }
    #expect(try !load(tensors).card.configuration.model.tiedWeights, "without metadata it is an untied one")
  }

  @Test func whatIsGivenMustAgreeWithTheMetadata() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    let model = try randomModel(.rnnRelu)
    try model.save(safetensors: path, precision: .single)
    #expect(try TrainedModel(safetensors: path, vocabulary: model.card.vocabulary, cell: .rnnRelu).bits == model.bits)
    expectError("metadata: expected the cell rnn-tanh, found rnn-relu") {
      _ = try TrainedModel(safetensors: path, cell: .rnnTanh)
    }
    expectError("expected the vocabulary given, with 6 tokens, found another with 7") {
      _ = try TrainedModel(safetensors: path, vocabulary: Vocabulary(kind: .words, entries: words.dropLast()))
    }
  }
}
