import Checkpoints
import Corpus
import Files
import Foundation
import NGramModels
import Networks
import Safetensors
import Training

/// A trained model to be used, from wherever one is kept: a run's folder, a checkpoint, a model file, a safetensors file that
/// carries a vocabulary, or a file of n-grams.
public final class SavedModel {
  /// What predicts.
  public enum Contents {
    case network(TrainedModel)
    case ngrams(NGramModel)
    case mixture(Mixture)
  }

  /// Of the file itself, also where a folder was named.
  public let path: String
  public let contents: Contents
  public let tokenizer: Tokenizer

  /// Tokens of a window that a text is evaluated in, over all lanes: many, so that weights are read once for many.
  private static let rows = 512

  /// The network that it is. Throws `CheckpointError` for another model.
  public func network() throws -> TrainedModel {
    switch contents {
    case .network(let model): return model
    case .ngrams:
      throw CheckpointError.otherKind(
        path: path, problem: "expected a network, found a model of n-grams; name a network")
    case .mixture:
      throw CheckpointError.otherKind(
        path: path, problem: "expected a network, found a mixture; name one of its models")
    }
  }

  /// Whether each prediction is made by an n-gram of some order.
  public var hasOrders: Bool {
    if case .ngrams = contents { true } else { false }
  }

  /// Throws `KernelError`.
  func makePredictor() throws -> any Predictor {
    switch contents {
    case .network(let model):
      try NetworkPredictor(
        model.card.configuration.model, vocabularySize: tokenizer.vocabulary.count, parameters: model.parameters)
    case .ngrams(let model): NGramPredictor(model)
    case .mixture(let mixture): try MixturePredictor(mixture)
    }
  }

  /// Opens a file, or the newest checkpoint that is whole in a run's folder; `passedOver` is told of those that are not.
  /// Throws what reading it throws.
  public init(_ path: String, passedOver: (String) -> Void) throws {
    if try FileSystem.status(path).isDirectory {
      let newest = try CheckpointStore(path).newest { passedOver("\($1)") }
      guard let newest else { throw CheckpointError.noneFound(directory: path) }
      self.path = newest.path
      contents = .network(try TrainedModel(checkpoint: newest))
    } else {
      self.path = path
      contents =
        switch try FileKind(of: path) {
        case .model: .network(try TrainedModel(modelFile: path))
        case .safetensors: .network(try TrainedModel(safetensors: path))
        case .ngrams: .ngrams(try NGramModel(path))
        case .arpa: .ngrams(try ARPAReader.read(path))
        case .kenLM: .ngrams(try KenLMReader.read(path))
        case .mixture: .mixture(try MixtureFile.read(path, passedOver: passedOver))
        case .onnx:
          throw CheckpointError.otherKind(
            path: path,
            problem: "expected a model to use, found an ONNX file, which is written and not read; export it "
              + "as .h5 or .safetensors")
        default: .network(try TrainedModel(checkpoint: CheckpointFile(path)))
        }
    }
    tokenizer =
      switch contents {
      case .network(let model): Tokenizer(vocabulary: model.card.vocabulary)
      case .ngrams(let model): Tokenizer(vocabulary: model.vocabulary)
      case .mixture(let mixture): mixture.components[0].model.tokenizer
      }
  }

  /// Of other models. `path` is what it is called.
  public init(_ mixture: Mixture, path: String) {
    self.path = path
    contents = .mixture(mixture)
    tokenizer = mixture.components[0].model.tokenizer
  }

  /// Loss of a text file, whose size does not matter to memory. A network reads the text as one piece, whose first token is
  /// only read; a model of n-grams reads each line by itself, and predicts all of it. A mixture predicts what all its models do.
  /// `progress` is told what is under way, and how much of it is done and in all; `each` is told every prediction.
  public func evaluate(
    _ file: InputFile, lanes: Int, progress: (_ phase: String, _ done: Int, _ total: Int) -> Void = { _, _, _ in },
    each: ((TokenLoss) throws -> Void)? = nil
  ) throws -> TextEvaluation {
    defer { withExtendedLifetime(file) {} }
    return
      switch contents
    {
    case .network(let model): try evaluate(model, file, lanes: lanes, progress, each)
    case .ngrams(let model): try evaluate(model, file, progress, each)
    case .mixture(let mixture): try evaluate(mixture, file, lanes: lanes, progress, each)
    }
  }

  private var unknownToken: Int32? { tokenizer.vocabulary.kind == .words ? Vocabulary.unknown : nil }

  private func evaluate(
    _ model: TrainedModel, _ file: InputFile, lanes: Int, _ progress: (String, Int, Int) -> Void,
    _ each: ((TokenLoss) throws -> Void)?
  ) throws -> TextEvaluation {
    let text = try TextTokens(file: file.path, name: file.name, tokenizer: tokenizer, lanes: lanes) {
      progress("reading", $0, $1)
    }
    do {
      let evaluator = try Evaluator(
        model.card.configuration.model, vocabularySize: tokenizer.vocabulary.count, parameters: model.parameters,
        source: text, lanes: lanes, sequenceLength: max(8, Self.rows / lanes), group: SingleRank())
      var unknown = (count: 0, nats: 0.0)
      let unknownToken = unknownToken
      let evaluation = try evaluator.evaluate(progress: { progress("evaluating", $0, $1) }) { place, token, loss in
        if token == unknownToken { unknown = (unknown.count + 1, unknown.nats + loss) }
        try each?(TokenLoss(place: place, token: token, loss: loss, order: nil))
      }
      let read = tokenizer.vocabulary.bytes(of: try text.token(at: 0)).count { $0 & 0xc0 != 0x80 }
      return TextEvaluation(
        evaluation: evaluation,
        withoutUnknown: Evaluation(
          predictions: evaluation.predictions - unknown.count, nats: evaluation.nats - unknown.nats),
        characters: text.characters - read, unknownTokens: text.unknownTokens, orders: [])
    } catch let error as CorpusError where text.count < 2 {
      throw CorpusError(file.name, error.problem, remedy: error.remedy)
    }
  }

  private func evaluate(
    _ model: NGramModel, _ file: InputFile, _ progress: (String, Int, Int) -> Void,
    _ each: ((TokenLoss) throws -> Void)?
  ) throws -> TextEvaluation {
    let size = try FileSystem.status(file.path).size
    var (bytes, place, characters) = (0, 0, 0)
    var (all, unknown) = ((count: 0, nats: 0.0), (count: 0, nats: 0.0))
    var orders = [Int](repeating: 0, count: model.order)
    var state = model.sentence
    let unknownToken = unknownToken
    var (results, matched) = ([Float](), [UInt8]())
    func predict(_ tokens: UnsafeBufferPointer<Int32>) throws {
      if results.count < tokens.count {
        results = [Float](repeating: 0, count: tokens.count)
        matched = [UInt8](repeating: 0, count: tokens.count)
      }
      results.withUnsafeMutableBufferPointer { results in
        matched.withUnsafeMutableBufferPointer { model.score(tokens, after: &state, results, orders: $0) }
      }
      for (index, token) in tokens.enumerated() {
        let loss = -Double(results[index]) * M_LN10
        all = (all.count + 1, all.nats + loss)
        if token == unknownToken { unknown = (unknown.count + 1, unknown.nats + loss) }
        orders[Int(matched[index]) - 1] += 1
        try each?(TokenLoss(place: place, token: token, loss: loss, order: Int(matched[index])))
        place += 1
      }
    }
    var last: Int32?
    try tokenizer.encode(file: file.path, name: file.name) { tokens, piece in
      try predict(tokens)
      last = tokens.last ?? last
      bytes += piece.count
      characters += piece.count { $0 & 0xc0 != 0x80 }
      progress("evaluating", bytes, size)
    }
    // A last line without an end is a sentence too.
    if let end = tokenizer.vocabulary.lineEnd, let last, last != end {
      try withUnsafePointer(to: end) { try predict(UnsafeBufferPointer(start: $0, count: 1)) }
    }
    guard all.count > 0 else {
      throw CorpusError(file.name, "expected a text, found an empty one", remedy: "name a file with text")
    }
    return TextEvaluation(
      evaluation: Evaluation(predictions: all.count, nats: all.nats),
      withoutUnknown: Evaluation(predictions: all.count - unknown.count, nats: all.nats - unknown.nats),
      characters: characters, unknownTokens: unknown.count, orders: orders)
  }

  /// A writer of text after a prompt.
  public func writer(prompt: Prompt, _ settings: SamplingSettings) throws -> TextGenerator {
    try TextGenerator(tokenizer, makePredictor(), prompt: prompt, settings)
  }
}

/// One prediction.
public struct TokenLoss: Sendable {
  /// Of the token in the text, from 0.
  public let place: Int
  public let token: Int32
  /// In nats.
  public let loss: Double
  /// Of the n-gram that told; nil where the model has none.
  public let order: Int?
}

/// How well a model predicts a text.
public struct TextEvaluation {
  public let evaluation: Evaluation
  /// The same without the predictions of `<unk>`, which is easy to predict where it stands for many words: KenLM's
  /// "excluding OOVs".
  public let withoutUnknown: Evaluation
  /// Unicode scalars of the text after its first token, which is only read.
  public let characters: Int
  public let unknownTokens: Int
  /// Of an n-gram model, how many predictions the n-grams of each order told; else empty.
  public let orders: [Int]

  /// What the predictions cost for each character: comparable between models of words, characters and bytes, as far as no
  /// word is `<unk>`.
  public var bitsPerCharacter: Double {
    evaluation.bitsPerToken * Double(evaluation.predictions) / Double(max(characters, 1))
  }
}
