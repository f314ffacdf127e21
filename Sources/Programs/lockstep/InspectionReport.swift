import Checkpoints
import ControlClient
import Files
import Foundation
import HDF5Files
import Inference
import NGramModels
import Networks
import ONNXFiles
import Runs
import Safetensors
import TaskMetrics
import TaskRegistry
import Training

/// What `lockstep inspect` has found; what a file does not have is nil.
struct InspectionReport: Encodable {
  let path: String
  /// What it is, in words.
  let kind: String
  let bytes: Int
  var formatVersion: Int?
  var model: Shape?
  var training: Training?
  var curve: Curve?
  var tensors: [Tensor] = []
  var graph: Graph?
  var ngrams: NGrams?
  var mixture: [Share]?

  init(path: String, kind: String) throws {
    self.path = path
    self.kind = kind
    bytes = try FileSystem.status(path).size
  }

  struct Shape: Encodable {
    let cell: String
    let embeddingSize: Int
    let hiddenSizes: [Int]
    let tiedWeights: Bool
    let parameters: Int
    let tokenizer: String
    let vocabularySize: Int

    init(_ card: ModelMetadata) {
      let model = card.configuration.model
      cell = model.summary
      embeddingSize = model.embeddingSize
      hiddenSizes = model.hiddenSizes
      tiedWeights = model.tiedWeights
      parameters = card.parameterLayout.parameterCount
      tokenizer = card.vocabulary.kind.rawValue
      vocabularySize = card.vocabulary.count
    }
  }

  struct Training: Encodable {
    let run: String
    let step: Int
    let epoch: Int
    let tokens: Int
    let finished: String?
    private let metrics: [Metric]
    /// In JSON beside the other keys, as `bestPerplexity` and `testPerplexity`.
    let best: [String: Double]
    let bestStep: Int?
    let test: [String: Double]
    let corpus: CorpusIdentity
    let madeBy: Provenance

    /// Nil for a model that nobody here has trained.
    init?(_ card: ModelMetadata) {
      guard card.progress.step > 0 || !card.provenance.program.isEmpty else { return nil }
      run = card.configuration.name
      step = card.progress.step
      epoch = card.progress.epoch
      tokens = card.progress.tokens
      finished = card.progress.finished?.rawValue
      metrics = card.configuration.task.task.measures.metrics
      best = card.results.best
      bestStep = card.progress.best == nil ? nil : card.progress.bestStep
      test = card.results.test
      corpus = card.corpus
      madeBy = card.provenance
    }

    private enum CodingKeys: CodingKey { case run, step, epoch, tokens, finished, bestStep, corpus, madeBy }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(run, forKey: .run)
      try container.encode(step, forKey: .step)
      try container.encode(epoch, forKey: .epoch)
      try container.encode(tokens, forKey: .tokens)
      try container.encodeIfPresent(finished, forKey: .finished)
      try encoder.encode(metrics: best, prefix: "best")
      try container.encodeIfPresent(bestStep, forKey: .bestStep)
      try encoder.encode(metrics: test, prefix: "test")
      try container.encode(corpus, forKey: .corpus)
      try container.encode(madeBy, forKey: .madeBy)
    }

    var lines: [(String, String)] {
      var lines: [(String, String)] = []
      if let bestStep, !best.isEmpty { lines.append(("best", "validation \(text(best)) at step \(bestStep)")) }
      if !test.isEmpty { lines.append(("test", text(test))) }
      return lines
    }

    private func text(_ values: [String: Double]) -> String { metrics.line(values) { String(format: "%.6g", $0) } }
  }

  struct Curve: Encodable {
    struct Point: Encodable {
      let step: Int
      let metrics: [String: Double]

      private enum CodingKeys: CodingKey { case step }

      func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(step, forKey: .step)
        try encoder.encode(metrics: metrics)
      }
    }

    /// Rows of the training curve, of which the last is told.
    let trainingRows: Int
    let lastTraining: Point?
    let validation: [Point]
    private let plot: CurvePlot?

    private enum CodingKeys: CodingKey { case trainingRows, lastTraining, validation }

    init(_ curves: Curves) {
      trainingRows = curves.training.count
      lastTraining = curves.training.last.map { Point(step: $0.step, metrics: $0.metrics) }
      validation = curves.validation.map { Point(step: $0.step, metrics: $0.metrics) }
      plot = curves.headlines.first.map { metric in
        var plot = CurvePlot(metric)
        plot.training = curves.training.map { CurvePlot.Point(step: $0.step, value: $0[metric.name]) }
        plot.validation = curves.validation.map { CurvePlot.Point(step: $0.step, value: $0[metric.name]) }
        return plot
      }
    }

    var lines: [String] {
      (plot?.rows(width: 72, height: 9, .braille) ?? []).map { row in
        String(row.map(\.character)).replacing(#/ +$/#, with: "")
      }
    }
  }

  struct Graph: Encodable {
    let producer: String
    let irVersion: Int
    let opset: Int
    /// Names, types and shapes.
    let inputs: [String]
    let outputs: [String]
    let initializers: Int
    /// In the initializers.
    let numbers: Int
  }

  /// One model of a mixture; a cache has a size and no model.
  struct Share: Encodable {
    var model: String?
    var cachedTokens: Int?
    let weight: Double
  }

  struct NGrams: Encodable {
    let order: Int
    let tokenizer: String
    let vocabularySize: Int
    let smoothing: String
    let sentences: Int
    let tokens: Int
    /// Of each order.
    let counts: [Int]
    let discounts: [[Double]]
    let warnings: [String]
    /// How far from 1 the probabilities after a context sum, at most, and of how many contexts.
    let largestError: Double
    let contexts: Int
  }

  struct Tensor: Encodable {
    let name: String
    let type: String
    let shape: [Int]
    /// Nil where the numbers are of a type that is not read here.
    let statistics: WeightStatistics?
  }
}

extension InspectionReport {
  /// Of a checkpoint, a model file or the newest checkpoint of a run.
  init(model saved: SavedModel) throws {
    let header = try ContainerHeader.read(saved.path)
    try self.init(path: saved.path, kind: header.kind == "model" ? "model file" : "checkpoint")
    formatVersion = header.formatVersion
    let file = try HDF5Reader(path: saved.path, kind: header.kind, newestVersion: header.formatVersion)
    describe(try saved.network(), try file.elementType(at: "/parameters/embedding") ?? .float32)
    if header.kind == "checkpoint" { curve = Curve(try CheckpointFile(saved.path).readCurves()) }
  }

  init(curves path: String) throws {
    try self.init(path: path, kind: "curves")
    formatVersion = try ContainerHeader.read(path).formatVersion
    curve = Curve(try Curves(path: path))
  }

  /// Of any safetensors file: its tensors, and what ours tell beside.
  init(safetensors path: String) throws {
    try self.init(path: path, kind: "safetensors")
    let file = try SafetensorsFile(path)
    if let card = try file.card { describe(card) }
    tensors = try file.tensors.map { tensor in
      let isReadable = TensorType.readable.contains(tensor.type)
      return Tensor(
        name: tensor.name, type: tensor.type.rawValue, shape: tensor.shape,
        statistics: isReadable
          ? try WeightStatistics(name: tensor.name, shape: tensor.shape) { add in
            try file.forEachNumber(of: tensor) { add($1) }
          } : nil)
    }
  }

  /// Of any ONNX file: what goes in and comes out, and what ours tell beside.
  init(onnx path: String) throws {
    try self.init(path: path, kind: "ONNX")
    let summary = try ONNXSummary(path)
    if let card = summary.card { describe(card) }
    func text(_ value: ONNXSummary.Value) -> String {
      "\(value.name): \(value.elementType) [\(value.shape.joined(separator: ", "))]"
    }
    graph = Graph(
      producer: "\(summary.producer) \(summary.producerVersion)", irVersion: summary.irVersion, opset: summary.opset,
      inputs: summary.inputs.map(text), outputs: summary.outputs.map(text), initializers: summary.initializerCount,
      numbers: summary.floatCount)
  }

  /// Of n-grams in any form. Reads a file of ours against its digest.
  init(ngrams saved: SavedModel) throws {
    guard case .ngrams(let model) = saved.contents else { preconditionFailure("no model of n-grams") }
    let form = try FileKind(of: saved.path)
    let isOwn = form == .ngrams
    if isOwn { try NGramModel.verify(saved.path) }
    try self.init(path: saved.path, kind: isOwn ? "n-gram model" : form == .arpa ? "ARPA" : "KenLM's binary form")
    if isOwn { formatVersion = try ContainerHeader.read(saved.path).formatVersion }
    let check = model.checkSums(contexts: 1000)
    let card = model.metadata
    ngrams = NGrams(
      order: model.order, tokenizer: card.tokenizer.rawValue, vocabularySize: model.vocabulary.count,
      smoothing: card.smoothing, sentences: card.sentences, tokens: card.tokens, counts: model.counts,
      discounts: card.discounts, warnings: card.warnings, largestError: check.largestError, contexts: check.contexts)
  }

  init(mixture saved: SavedModel) throws {
    guard case .mixture(let mixture) = saved.contents else { preconditionFailure("no mixture") }
    try self.init(path: saved.path, kind: "mixture of models")
    self.mixture =
      mixture.components.map { Share(model: $0.model.path, weight: $0.weight) }
      + [mixture.cache].compactMap { $0 }.map { Share(cachedTokens: $0.size, weight: $0.weight) }
  }

  private mutating func describe(_ card: ModelMetadata) {
    model = Shape(card)
    training = Training(card)
  }

  private mutating func describe(_ model: TrainedModel, _ type: HDF5ElementType) {
    describe(model.card)
    tensors = model.parameters.statistics.map {
      Tensor(name: $0.name, type: type.rawValue, shape: $0.shape, statistics: $0)
    }
  }

  // MARK: - For people

  var text: String {
    var lines = [row("file", path), row("kind", kind + (formatVersion.map { ", format \($0)" } ?? ""))]
    lines.append(row("size", "\(bytes.formatted()) bytes"))
    if let model {
      let sizes = model.hiddenSizes.map(String.init).joined(separator: ", ")
      lines.append(
        row(
          "model",
          "\(model.cell), embedding \(model.embeddingSize), hidden \(sizes)\(model.tiedWeights ? ", tied weights" : "")"
        ))
      lines.append(row("parameters", model.parameters.formatted()))
      lines.append(row("vocabulary", "\(model.vocabularySize.formatted()), \(model.tokenizer)"))
    }
    lines += ngrams.map(describe) ?? []
    lines += (mixture ?? []).map { share in
      row("share", String(format: "%.4f  ", share.weight) + (share.model ?? "the newest \(share.cachedTokens!) tokens"))
    }
    lines += training.map(describe) ?? []
    if let graph {
      lines.append(row("graph", "by \(graph.producer), version \(graph.irVersion), operators \(graph.opset)"))
      lines.append(row("tensors", "\(graph.initializers), \(graph.numbers.formatted()) numbers"))
      lines += graph.inputs.map { row("input", $0) } + graph.outputs.map { row("output", $0) }
    }
    if let curve {
      lines.append(row("curve", "\(counted(curve.trainingRows, "row")), \(curve.validation.count) of validation"))
      lines += [""] + curve.lines
    }
    let types = Set(tensors.map(\.type))
    if types.count == 1, let type = types.first { lines.append(row("numbers", type)) }
    if !tensors.isEmpty { lines += [""] + tensorTable }
    return lines.joined(separator: "\n") + "\n"
  }

  private func row(_ name: String, _ value: String) -> String {
    name.padding(toLength: 12, withPad: " ", startingAt: 0) + " " + value
  }

  private func describe(_ ngrams: NGrams) -> [String] {
    var lines = [
      row("model", "n-grams of order \(ngrams.order)" + (ngrams.smoothing.isEmpty ? "" : ", \(ngrams.smoothing)"))
    ]
    lines.append(row("vocabulary", "\(ngrams.vocabularySize.formatted()), \(ngrams.tokenizer)"))
    if ngrams.tokens > 0 {
      lines.append(row("counted", "\(counted(ngrams.sentences, "sentence")), \(counted(ngrams.tokens, "token"))"))
    }
    for (place, count) in ngrams.counts.enumerated() {
      let discounts = place < ngrams.discounts.count ? ngrams.discounts[place].filter { $0 > 0 } : []
      let text = discounts.map { String(format: "%.6g", $0) }.joined(separator: " ")
      lines.append(row("\(place + 1)-grams", count.formatted() + (text.isEmpty ? "" : ", discounts \(text)")))
    }
    lines.append(
      row(
        "sums",
        "of probabilities after \(counted(ngrams.contexts, "context")): 1, but for "
          + String(format: "%.1e", ngrams.largestError) + " at most"))
    return lines + ngrams.warnings.map { row("warning", $0) }
  }

  private func describe(_ training: Training) -> [String] {
    var lines = [row("run", training.run)]
    let state = training.finished.map { ", finished (\($0))" } ?? ""
    lines.append(
      row("learned", "step \(training.step), epoch \(training.epoch), \(counted(training.tokens, "token"))\(state)"))
    lines += training.lines.map(row)
    lines.append(row("corpus", "\(training.corpus)"))
    lines.append(row("made by", "\(training.madeBy)"))
    return lines
  }

  private var tensorTable: [String] {
    let width = max(6, tensors.map(\.name.count).max() ?? 0)
    func cell(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    let head = "tensor".padding(toLength: width, withPad: " ", startingAt: 0)
    let columns = ["mean", "deviation", "least", "most", "norm"]
    return [head + cell("shape", 14) + columns.map { cell($0, 11) }.joined()]
      + tensors.map { tensor in
        var line = tensor.name.padding(toLength: width, withPad: " ", startingAt: 0)
        line += cell(tensor.shape.map(String.init).joined(separator: "x"), 14)
        guard let figures = tensor.statistics else { return line + "  (\(tensor.type))" }
        line += [figures.mean, figures.standardDeviation, figures.least, figures.most, figures.norm]
          .map { cell(String(format: "%.4g", $0), 11) }.joined()
        return figures.notFinite > 0 ? line + "  \(figures.notFinite) not finite" : line
      }
  }
}
