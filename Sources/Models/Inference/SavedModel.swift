import Checkpoints
import Corpus
import Files
import Networks
import Safetensors
import Training

/// A trained model to be used, from wherever one is kept: a run's folder, a checkpoint, a model file or a safetensors
/// file that carries a vocabulary.
public final class SavedModel {
  /// Of the file itself, also where a folder was named.
  public let path: String
  public let model: TrainedModel
  public let tokenizer: Tokenizer

  /// Tokens of a window that a text is evaluated in, over all lanes: many, so that weights are read once for many.
  private static let rows = 512

  public var shape: ModelConfiguration { model.card.configuration.model }

  /// Throws `KernelError`.
  func makePredictor() throws -> NetworkPredictor {
    try NetworkPredictor(shape, vocabularySize: tokenizer.vocabulary.count, parameters: model.parameters)
  }

  /// Opens a file, or the newest checkpoint that is whole in a run's folder; `passedOver` is told of those that are not.
  /// Throws what reading it throws.
  public init(_ path: String, passedOver: (String) -> Void) throws {
    if try FileSystem.status(path).isDirectory {
      let newest = try CheckpointStore(path).newest { passedOver("\($1)") }
      guard let newest else { throw CheckpointError.noneFound(directory: path) }
      self.path = newest.path
      model = try TrainedModel(checkpoint: newest)
    } else {
      self.path = path
      model =
        switch try FileKind(of: path) {
        case .model: try TrainedModel(modelFile: path)
        case .safetensors: try TrainedModel(safetensors: path)
        case .onnx:
          throw CheckpointError.otherKind(
            path: path,
            problem: "expected a model to use, found an ONNX file, which is written and not read; export it "
              + "as .h5 or .safetensors")
        default: try TrainedModel(checkpoint: CheckpointFile(path))
        }
    }
    tokenizer = Tokenizer(vocabulary: model.card.vocabulary)
  }

  /// Loss of a text file, whose size does not matter to memory. `progress` is told what is under way, and how much of it
  /// is done and in all; `each` is as in `Evaluator.evaluate`.
  public func evaluate(
    _ file: InputFile, lanes: Int, progress: (_ phase: String, _ done: Int, _ total: Int) -> Void = { _, _, _ in },
    each: ((_ place: Int, _ token: Int32, _ loss: Double) throws -> Void)? = nil
  ) throws -> TextEvaluation {
    defer { withExtendedLifetime(file) {} }
    let text = try TextTokens(file: file.path, name: file.name, tokenizer: tokenizer, lanes: lanes) {
      progress("reading", $0, $1)
    }
    do {
      let evaluator = try Evaluator(
        shape, vocabularySize: tokenizer.vocabulary.count, parameters: model.parameters, source: text, lanes: lanes,
        sequenceLength: max(8, Self.rows / lanes), group: SingleRank())
      let unknownToken = tokenizer.vocabulary.kind == .words ? Vocabulary.unknown : nil
      var unknown = (count: 0, nats: 0.0)
      let evaluation = try evaluator.evaluate(progress: { progress("evaluating", $0, $1) }) { place, token, loss in
        if token == unknownToken { unknown = (unknown.count + 1, unknown.nats + loss) }
        try each?(place, token, loss)
      }
      let read = tokenizer.vocabulary.bytes(of: try text.token(at: 0)).count { $0 & 0xc0 != 0x80 }
      return TextEvaluation(
        evaluation: evaluation,
        withoutUnknown: Evaluation(
          predictions: evaluation.predictions - unknown.count, nats: evaluation.nats - unknown.nats),
        characters: text.characters - read, unknownTokens: text.unknownTokens)
    } catch let error as CorpusError where text.count < 2 {
      throw CorpusError(file.name, error.problem, remedy: error.remedy)
    }
  }

  /// A writer of text after a prompt.
  public func writer(prompt: Prompt, _ settings: SamplingSettings) throws -> TextGenerator {
    try TextGenerator(tokenizer, makePredictor(), prompt: prompt, settings)
  }
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

  /// What the predictions cost for each character: comparable between models of words, characters and bytes, as far as no
  /// word is `<unk>`.
  public var bitsPerCharacter: Double {
    evaluation.bitsPerToken * Double(evaluation.predictions) / Double(max(characters, 1))
  }
}
