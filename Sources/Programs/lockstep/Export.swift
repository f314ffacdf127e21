import ArgumentParser
import Checkpoints
import Files
import Inference
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
      the space.

        lockstep export checkpoints/default --output default.h5
        lockstep export checkpoints/default --output default.safetensors
        lockstep export checkpoints/default --output small.h5 --precision half
      """)

  @OptionGroup var model: ModelArgument

  @Option(
    help: "The file to write: .h5, .safetensors or .onnx. An existing file is replaced, unless a run keeps it.",
    completion: .file(extensions: ["h5", "safetensors", "onnx"]))
  var output: String

  @Option(help: "single or half.")
  var precision: Precision = .single

  private enum Ending: String, CaseIterable {
    case h5, safetensors, onnx
  }

  private var ending: Ending? { Ending.allCases.first { output.hasSuffix(".\($0.rawValue)") } }

  func validate() throws {
    guard ending != nil else {
      let endings = Ending.allCases.map { ".\($0.rawValue)" }.joined(separator: ", ")
      throw ValidationError("--output is '\(output)'; expected a file that ends with one of \(endings)")
    }
  }

  func run() throws {
    let saved = try model.open()
    try OutputCheck.file(output, madeOf: [saved.path])
    switch ending {
    case .h5: try saved.model.save(to: output, precision: precision)
    case .safetensors: try saved.model.save(safetensors: output, precision: precision)
    case .onnx: try saved.model.save(onnx: output, precision: precision)
    case nil: preconditionFailure("validated")
    }
    Console.output(
      "\(output): \(saved.model.parameters.layout.parameterCount) parameters of \(saved.path), "
        + "\(try FileSystem.status(output).size) bytes\n")
  }
}

extension Precision: ExpressibleByArgument {}
