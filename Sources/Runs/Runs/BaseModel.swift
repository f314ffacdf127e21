import Checkpoints
import Corpus
import Inference
import Kernels
import Networks
import Training

/// The trained model that a run begins with in place of numbers drawn by its seed: `model.from`.
struct BaseModel {
  private let model: TrainedModel

  /// Opens it and holds it against what the run is to be. Throws what reading it throws, and `ConfigurationError` for
  /// another shape or tokenizer.
  init(_ configuration: RunConfiguration, vocabulary: Vocabulary, passedOver: (String) -> Void) throws {
    let path = configuration.model.from
    model = try SavedModel(path, passedOver: passedOver).network()
    let (own, its) = (configuration.model, model.card.configuration.model)
    let settings: [(key: String, own: String, its: String)] = [
      ("kind", own.kind.rawValue, its.kind.rawValue),
      ("cell", own.cell.rawValue, its.cell.rawValue),
      ("window", "\(own.window)", "\(its.window)"),
      ("activation", own.activation.rawValue, its.activation.rawValue),
      ("direct", "\(own.direct)", "\(its.direct)"),
      ("embeddingSize", "\(own.embeddingSize)", "\(its.embeddingSize)"),
      ("hiddenSizes", "\(own.hiddenSizes)", "\(its.hiddenSizes)"),
      ("tiedWeights", "\(own.tiedWeights)", "\(its.tiedWeights)"),
    ].filter { $1 != $2 }
    if let first = settings.first {
      let (has, says) = (settings.map { "\($0.key): \($0.its)" }, settings.map { "model.\($0.key): \($0.own)" })
      throw ConfigurationError(
        key: "model.\(first.key)",
        problem: "model.from is \(path), with \(has.joined(separator: ", ")); found "
          + "\(says.joined(separator: ", ")): write what the model has")
    }
    let (ownKind, itsKind) = (vocabulary.kind, model.card.vocabulary.kind)
    guard ownKind == itsKind else {
      throw ConfigurationError(
        key: "corpus.tokenizer",
        problem: "model.from is \(path), a model of \(itsKind.rawValue); expected one of \(ownKind.rawValue), as "
          + "corpus.tokenizer says, or the other tokenizer there")
    }
  }

  /// Puts its numbers over those of `parameters`. Rows of tokens that it does not know stay what they are. Returns how
  /// many tokens of the run's vocabulary it knows.
  func fill(_ parameters: Parameters, _ vocabulary: Vocabulary) -> Int {
    let its = model.card.vocabulary
    let rows = (0..<vocabulary.count).map { its.id(of: vocabulary.bytes(of: Int32($0))).map(Int.init) }
    for (view, source) in zip(parameters.layout.tensors, model.parameters.layout.tensors) {
      let target = parameters.buffer.pointer + view.offset
      let origin = model.parameters.buffer.pointer + source.offset
      guard view.rows == .vocabulary else {
        target.update(from: origin, count: view.count)
        continue
      }
      let width = view.count / vocabulary.count
      for (row, its) in rows.enumerated() {
        if let its { (target + row * width).update(from: origin + its * width, count: width) }
      }
    }
    return rows.count { $0 != nil }
  }
}
