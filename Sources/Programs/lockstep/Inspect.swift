import ArgumentParser
import Checkpoints
import Files
import HDF5Files
import Inference
import Runs
import Terminal

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Describes a file or a run's folder.",
    discussion: """
      Of a model, checkpoint or run: its shape, what it learned from and how well it
      does, its curve, and what the numbers of each tensor are like. Also of
      curves.h5, of safetensors, ONNX and ARPA files, from other programs too. Of
      n-grams: how many there are of each order, discounts, and whether the
      probabilities after some contexts sum to 1.

        lockstep inspect checkpoints/default
        lockstep inspect tiny.safetensors
        lockstep inspect checkpoints/default/step-00001000.h5 --format json
      """)

  @Argument(
    help: "A model file, a checkpoint, curves.h5, a safetensors, ONNX or ARPA file, or a run's folder.",
    completion: .file(extensions: ["h5", "safetensors", "onnx", "ngrams", "arpa"]))
  var path: String

  @Option(help: "text or json.")
  var format: OutputFormat = .text

  func run() throws {
    let report = try inspect()
    switch format {
    case .text: Console.output(report.text)
    case .json: Console.output(try jsonText(report, pretty: true) + "\n")
    }
  }

  private func inspect() throws -> InspectionReport {
    if try FileSystem.status(path).isDirectory {
      guard !FileSystem.exists("\(path)/manifest.json") else {
        throw CheckpointError.otherKind(
          path: path, problem: "expected a model or a run, found prepared tokens: see lockstep corpus inspect \(path)")
      }
      return try InspectionReport(model: open())
    }
    switch try FileKind(of: path) {
    case .checkpoint, .model: return try InspectionReport(model: open())
    case .curves: return try InspectionReport(curves: path)
    case .safetensors: return try InspectionReport(safetensors: path)
    case .onnx: return try InspectionReport(onnx: path)
    case .mixture: return try InspectionReport(mixture: open())
    case .ngrams, .arpa, .kenLM: return try InspectionReport(ngrams: open())
    case .other:
      // Says what it is instead.
      _ = try ContainerHeader.read(path)
      throw CheckpointError.otherKind(
        path: path, problem: "expected a model, a run or curves, found another kind of file; check the path")
    }
  }

  private func open() throws -> SavedModel {
    try SavedModel(path) { Console.error("warning: passed over \($0)\n") }
  }
}
