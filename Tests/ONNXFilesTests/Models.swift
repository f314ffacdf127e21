import Checkpoints
import Corpus
import Kernels
import Networks
import TestSupport
import Training

/// Small models with numbers drawn at random, biases too.
enum Models {
  static func card(_ model: ModelConfiguration) throws -> ModelMetadata {
    var configuration = RunConfiguration()
    configuration.corpus.text = ["a.txt"]
    configuration.model = model
    var progress = TrainingProgress()
    progress.step = 7
    return ModelMetadata(
      configuration: configuration,
      vocabulary: try Vocabulary(kind: .words, entries: ["<unk>", "<eos>", "cat", "Käse", "gül", "x"]),
      progress: progress,
      results: RunResults(), corpus: CorpusIdentity(),
      provenance: Provenance(program: "1.2.3", oneDNN: "2", instructionSet: "x", threads: 1, ranks: 2))
  }

  static func model(_ configuration: ModelConfiguration) throws -> TrainedModel {
    let card = try card(configuration)
    let parameters = try Parameters(card.parameterLayout)
    var random = SeededRandom(seed: 3)
    for view in parameters.layout.tensors {
      for place in view.range { parameters.buffer[place] = Float.random(in: -1...1, using: &random) }
    }
    return TrainedModel(card: card, parameters: parameters)
  }
}
