import ArgumentParser
import Checkpoints
import Files
import Inference
import NGramModels
import ONNXFiles
import Runs
import Safetensors
import Terminal

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes a trained model as one file.",
    discussion: """
      The ending of the output says what is written:

        .h5            Lockstep's own format: the model of a checkpoint, without
                       the data that only training needs
        .safetensors   tensors as PyTorch's word_language_model has them, which
                       load_state_dict(strict=True) takes
        .onnx          standard operators, for onnxruntime and others; state goes in
                       and comes out

      All carry the configuration and the vocabulary. --precision half takes half
      the space. A model of n-grams is written as

        .ngrams        Lockstep's own form, which is used at once whatever its size
        .arpa          the text that KenLM and SRILM read; also .arpa.gz, .arpa.bz2
                       and .arpa.xz
        .binary        KenLM's binary form (probing), which its programs map

        lockstep export checkpoints/default --output default.h5
        lockstep export checkpoints/default --output default.safetensors
        lockstep export checkpoints/default --output small.h5 --precision half
        lockstep export model.arpa.gz --output model.ngrams
      """)

  @OptionGroup var model: ModelArgument

  @Option(
    help:
      "The file to write: .h5, .safetensors or .onnx, of n-grams .ngrams, .arpa or .binary. An existing file is replaced, unless a run keeps it.",
    completion: .file(extensions: ["h5", "safetensors", "onnx", "ngrams", "arpa"]))
  var output: String

  @Option(help: "single or half.")
  var precision: Precision = .single

  private enum Ending: String, CaseIterable {
    case h5, safetensors, onnx
  }

  private var ending: Ending? { Ending.allCases.first { output.hasSuffix(".\($0.rawValue)") } }

  func validate() throws {
    guard ending != nil || NGramOutput(output) != nil else {
      let endings = (Ending.allCases.map { ".\($0.rawValue)" } + [NGramOutput.endings]).joined(separator: ", ")
      throw ValidationError("--output is '\(output)'; expected a file that ends with one of \(endings)")
    }
  }

  func run() throws {
    let saved = try model.open()
    try OutputCheck.file(output, madeOf: [saved.path])
    let contents =
      switch saved.contents {
      case .network(let model): try write(model, of: saved)
      case .ngrams(let model): try write(model, of: saved)
      case .mixture:
        throw CheckpointError.otherKind(
          path: saved.path, problem: "expected one model, found a mixture; export its models")
      }
    Console.output(
      "\(output): \(contents) of \(saved.path), \(try FileSystem.status(output).size) bytes\n")
  }

  private func write(_ model: TrainedModel, of saved: SavedModel) throws -> String {
    switch ending {
    case .h5: try model.save(to: output, precision: precision)
    case .safetensors: try model.save(safetensors: output, precision: precision)
    case .onnx: try model.save(onnx: output, precision: precision)
    case nil:
      throw CheckpointError.otherKind(
        path: saved.path,
        problem: "a network is no model of n-grams; expected an "
          + "--output that ends with .h5, .safetensors or .onnx")
    }
    return "\(model.parameters.layout.parameterCount) parameters"
  }

  private func write(_ model: NGramModel, of saved: SavedModel) throws -> String {
    guard let form = NGramOutput(output) else {
      throw CheckpointError.otherKind(
        path: saved.path,
        problem: "it is a model of n-grams; expected an --output that ends with one of \(NGramOutput.endings)")
    }
    try form.write(model, to: output)
    return "\(model.counts.reduce(0, +)) n-grams"
  }
}

extension Precision: ExpressibleByArgument {}
