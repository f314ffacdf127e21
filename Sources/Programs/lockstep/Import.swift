import ArgumentParser
import Checkpoints
import Corpus
import Files
import Inference
import Kernels
import Runs
import Safetensors
import Terminal

struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Imports a model of PyTorch's word_language_model from a safetensors file.",
    discussion: """
      Writes a model file to evaluate, to write text with, or to train further
      (model.from in a configuration). What DistributedDataParallel, torch.compile or
      a larger module put into the names of tensors is left out, and the names of
      awd-lstm-lm are understood. A file that lockstep exported needs no options.
      Any other has tensors alone: --vocabulary names a file with the tokens in the
      order of the embedding's rows, either a JSON array of strings or, for words, one
      on each line; words have <unk> and <eos> among them, in any place.

        lockstep import default.safetensors --output default.h5
        lockstep import theirs.safetensors --vocabulary words.txt --output theirs.h5
        lockstep import theirs.safetensors --output theirs.h5 \\
          --vocabulary characters.json --tokenizer characters
      """)

  @Argument(
    help: "A safetensors file with the state dict of such a model.", completion: .file(extensions: ["safetensors"]))
  var file: String

  @Option(help: "The tokens, for a file that does not name them.", completion: .file())
  var vocabulary: String?

  @Option(help: "What they are: words, characters or bytes (which need no --vocabulary).")
  var tokenizer: TokenizerKind?

  @Option(
    help: "The cell, for a file that does not name it and holds plain recurrent layers: rnn-tanh or rnn-relu.",
    completion: .list(["rnn-tanh", "rnn-relu"]))
  var cell: Cell?

  @Option(
    help: "The model file to write. One that is there is replaced.", completion: .file(extensions: ["h5"]))
  var output: String

  func validate() throws {
    if vocabulary != nil, tokenizer == .bytes {
      throw ValidationError("--vocabulary is for words and characters; bytes need none")
    }
    guard output.hasSuffix(".h5") else {
      throw ValidationError("--output is '\(output)'; expected a file that ends with .h5")
    }
  }

  func run() throws {
    if try FileKind(of: file) != .safetensors {
      throw ValidationError(
        "\(file) is no safetensors file, which alone is imported; what Lockstep has written is used as it is")
    }
    try OutputCheck.file(output, madeOf: [file] + [vocabulary].compactMap { $0 })
    let rows = try tokens()
    var model = try TrainedModel(safetensors: file, vocabulary: rows?.vocabulary, cell: cell)
    if let rows { try model.reorder(rows: rows.order) }
    if let tokenizer, tokenizer != model.card.vocabulary.kind {
      throw ValidationError("--tokenizer is \(tokenizer.rawValue); \(file) has \(model.card.vocabulary.kind.rawValue)")
    }
    try model.save(to: output, precision: .single)
    let shape = model.card.configuration.model
    Console.output(
      "\(output): \(shape.summary) \(shape.hiddenSizes), vocabulary \(model.card.vocabulary.count), "
        + "\(model.parameters.layout.parameterCount) parameters\n")
  }

  private func tokens() throws -> (vocabulary: Vocabulary, order: [Int])? {
    guard let vocabulary else { return tokenizer == .bytes ? (.bytes, Array(0..<256)) : nil }
    let file = try InputFile(vocabulary)
    return try withExtendedLifetime(file) {
      try Vocabulary.inRowOrder(file: file.path, name: file.name, kind: tokenizer ?? .words)
    }
  }
}

extension Cell: ExpressibleByArgument {}
