import Checkpoints
import Corpus
import Foundation
import Kernels
import Networks
import TestSupport
import Testing
import Training

@testable import ONNXFiles

@Suite struct ONNXSummaryTests {
  private func bytes(_ folder: TemporaryFolder, _ model: ModelConfiguration) throws -> Data {
    try Models.model(model).save(onnx: folder.file("a.onnx"), precision: .single)
    return try Data(contentsOf: URL(fileURLWithPath: folder.file("a.onnx")))
  }

  @Test(arguments: [Precision.single, .half])
  func tellsWhatWasWritten(precision: Precision) throws {
    let folder = try TemporaryFolder()
    let model = try Models.model(ModelConfiguration(cell: .lstm, embeddingSize: 4, hiddenSizes: [5, 3]))
    try model.save(onnx: folder.file("a.onnx"), precision: precision)
    let summary = try ONNXSummary(folder.file("a.onnx"))
    #expect(summary.producer == "lockstep" && summary.producerVersion == "1.2.3")
    #expect(summary.irVersion == 8 && summary.opset == 17)
    func value(_ name: String, _ type: String, _ shape: String...) -> ONNXSummary.Value {
      ONNXSummary.Value(name: name, elementType: type, shape: shape)
    }
    #expect(
      summary.inputs == [
        value("tokens", "int64", "length", "batch"), value("hidden.0", "float", "batch", "5"),
        value("cell.0", "float", "batch", "5"), value("hidden.1", "float", "batch", "3"),
        value("cell.1", "float", "batch", "3"),
      ])
    #expect(
      summary.outputs == [
        value("logits", "float", "length", "batch", "6"), value("hidden.0.next", "float", "batch", "5"),
        value("cell.0.next", "float", "batch", "5"), value("hidden.1.next", "float", "batch", "3"),
        value("cell.1.next", "float", "batch", "3"),
      ])
    #expect(summary.initializerCount == 11)
    // The second biases, which are zero, are numbers too.
    #expect(summary.floatCount == model.card.parameterLayout.parameterCount + 4 * (5 + 3))
    let card = try #require(summary.card)
    #expect(card.configuration == model.card.configuration && card.vocabulary == model.card.vocabulary)
    #expect(card.progress == model.card.progress && card.provenance == model.card.provenance)
  }

  @Test func readsFilesOfOthers() throws {
    let folder = try TemporaryFolder()
    let other = ModelProto.with {
      $0.irVersion = 10
      $0.opsetImport = [.with { ($0.domain, $0.version) = ("com.example", 3) }, .with { $0.version = 21 }]
      $0.metadataProps = [.with { ($0.key, $0.value) = ("author", "someone") }]
      $0.graph.output = [
        .with {
          $0.name = "y"
          $0.type.tensorType.elemType = .double
          $0.type.tensorType.shape.dim = [.init(), .with { $0.dimValue = 2 }]
        }
      ]
    }
    // A field that we do not know, of eight bytes.
    let unknown: [UInt8] = [0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8]
    let summary = try ONNXSummary(folder.write("b.onnx", try other.serializedBytes() + unknown))
    #expect(summary.opset == 21 && summary.card == nil && summary.producer.isEmpty && summary.inputs.isEmpty)
    #expect(summary.outputs == [ONNXSummary.Value(name: "y", elementType: "double", shape: ["?", "2"])])
  }

  @Test func filesThatAreNoneAreRefused() throws {
    let folder = try TemporaryFolder()
    let whole = try bytes(folder, ModelConfiguration(embeddingSize: 4, hiddenSizes: [5]))
    for length in stride(from: 0, to: whole.count, by: 5) {
      expectError("b.onnx", "expected", "check the path") {
        _ = try ONNXSummary(folder.write("b.onnx", whole.prefix(length)))
      }
    }
    let foreign: [[UInt8]] = [
      Array("This is a text.\n".utf8), [UInt8](repeating: 0, count: 100), [UInt8](repeating: 0xff, count: 100),
      [0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],  // a graph of 2^63 - 1 bytes
      [0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],  // and of 2^64 - 1
      [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],  // a number of eleven bytes
      [0x12, 0x01, 0xff],  // a producer that is no UTF-8
      [0x3a, 0x05, 0x5a, 0x03, 0x12, 0x7f, 0x00],  // an input whose type is longer than the input
      Array([[UInt8]](repeating: [0x3a, 0x02, 0x5a, 0x00], count: 3000).joined()),  // 3000 inputs
      [0x12, 0xa0, 0x8d, 0x06] + [UInt8](repeating: 0x61, count: 100_000),  // a producer of 100,000 bytes
    ]
    for bytes in foreign {
      expectError("b.onnx: expected", "no ONNX model") { _ = try ONNXSummary(folder.write("b.onnx", bytes)) }
    }
    expectError("c.onnx", "open") { _ = try ONNXSummary(folder.file("c.onnx")) }
  }

  @Test func changedFilesAreReadOrRefused() throws {
    let folder = try TemporaryFolder()
    let whole = try bytes(folder, ModelConfiguration(embeddingSize: 2, hiddenSizes: [2]))
    // Reading a card takes a while: most of the files go without.
    var model = try ModelProto(serializedBytes: whole)
    model.metadataProps = []
    var random = SeededRandom(seed: 11)
    var refused = 0
    for (original, count) in [(try model.serializedData(), 2000), (whole, 50)] {
      for _ in 0..<count {
        var changed = original
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          changed[Int.random(in: 0..<changed.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        do {
          _ = try ONNXSummary(folder.write("b.onnx", changed))
        } catch {
          let isTyped =
            error is ONNXError || error is CheckpointError || error is CorpusError || error is ConfigurationError
          #expect(isTyped, "\(error)")
          refused += 1
        }
      }
    }
    #expect(refused > 200)
  }
}
