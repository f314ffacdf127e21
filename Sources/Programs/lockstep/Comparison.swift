import Checkpoints
import ControlClient
import Foundation
import Runs
import TaskMetrics
import Training

/// Runs side by side.
struct Comparison {
  private struct Row {
    let name: String
    /// One a run.
    var cells: [String]
    /// The runs whose value is the best.
    var best: Set<Int> = []
  }

  private let records: [RunRecord]
  /// Flat keys and values of each run; empty where there is no checkpoint.
  private let settings: [[String: String]]

  /// Throws what writing a configuration as JSON throws.
  init(_ records: [RunRecord]) throws {
    self.records = records
    settings = try records.map { try $0.card.map { try SettingValue.flattened($0.configuration) } ?? [:] }
  }

  /// Keys of settings, in order, that not all of the runs whose settings are known have the same.
  private var differing: [String] {
    let known = settings.filter { !$0.isEmpty }
    return keys.filter { key in Set(known.map { $0[key] }).count > 1 }
  }

  private var keys: [String] { Set(settings.flatMap(\.keys)).sorted() }

  /// Whether values of metrics compare: they are of the same text, in the same tokens.
  private var sharesCorpus: Bool {
    let fingerprints = records.compactMap { $0.card?.corpus.fingerprint }
    return fingerprints.count == records.count && Set(fingerprints).count == 1
  }

  // MARK: - For people

  /// A table; where it is wider than `width` (nil: no limit), one below the other of as many runs as fit.
  func text(allSettings: Bool, width: Int?) -> String {
    // The column heads tell the name.
    let shown = (allSettings ? keys : differing).filter { $0 != "name" }
    let title = allSettings ? "settings" : shown.isEmpty ? "settings do not differ" : "settings that differ"
    var rows = results()
    rows += [Row(name: "", cells: []), Row(name: title, cells: [])]
    rows += shown.map { key in Row(name: "  \(key)", cells: settings.map { $0[key] ?? "-" }) }
    let cells = rows.map { row in
      [row.name] + records.indices.map { run in Self.cell(row, run, width) }
    }
    let heads = [""] + records.map { Readable.line($0.name) }
    let tables = Self.blocks([heads] + cells, width).map { Readable.table($0).joined(separator: "\n") + "\n" }
    var notes = rows.contains { !$0.best.isEmpty } ? ["* the best of its row"] : []
    if !sharesCorpus {
      notes.append("metrics do not compare: the runs learned from different or unknown texts")
    }
    return tables.joined(separator: "\n") + (notes.isEmpty ? "" : "\n" + notes.joined(separator: "\n") + "\n")
  }

  private static func cell(_ row: Row, _ run: Int, _ width: Int?) -> String {
    guard run < row.cells.count else { return "" }
    let text = Readable.line(row.cells[run])
    let most = 40
    let isLong = width != nil && text.count > most
    let fitting = isLong ? text.prefix(most / 2) + "…" + text.suffix(most / 2 - 1) : text[...]
    return fitting + (row.best.contains(run) ? " *" : "")
  }

  /// The table with as many of its columns at a time as fit, each time after the first column.
  private static func blocks(_ rows: [[String]], _ width: Int?) -> [[[String]]] {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    var groups: [[Int]] = []
    var used = Int.max
    for column in widths.indices.dropFirst() {
      let fits = used != .max && used + 2 + widths[column] <= width ?? .max - 1
      if fits {
        groups[groups.count - 1].append(column)
      } else {
        groups.append([column])
      }
      used = (fits ? used : widths[0]) + 2 + widths[column]
    }
    return groups.map { group in rows.map { row in [row[0]] + group.map { row[$0] } } }
  }

  private func results() -> [Row] {
    let best = records.map(\.curves.best)
    let tests = records.map { $0.card?.results.test ?? [:] }
    let work = records.map(\.curves.work)
    let speeds = work.map { $0.seconds > 0 ? Double($0.tokens) / $0.seconds : nil }
    let progress = records.map { $0.card?.progress }
    func row(_ name: String, _ cells: [String?], best: Set<Int> = []) -> Row {
      Row(name: name, cells: cells.map { $0 ?? "-" }, best: best)
    }
    func cards(_ name: String, _ cell: (ModelMetadata) -> String?) -> Row {
      row(name, records.map { $0.card.flatMap(cell) })
    }
    /// The runs that stand best in what decides; a row of another metric marks the same ones.
    func leaders(_ values: [[String: Double]?]) -> Set<Int> {
      guard sharesCorpus, let deciding = metrics.first else { return [] }
      let sign = deciding.better == .lower ? -1.0 : 1
      return Self.leaders(values.map { $0?[deciding.name].map { sign * $0 } })
    }
    func rows(_ title: String, _ values: [[String: Double]?]) -> [Row] {
      let best = leaders(values)
      return metrics.map { metric in
        row("\(title) \(metric.title)", values.map { $0?[metric.name].map { Readable.number($0) } }, best: best)
      }
    }
    let head = [
      row("steps", records.map { $0.steps.formatted() }),
      cards("epochs") { "\($0.progress.epoch) of \($0.configuration.training.epochs)" },
      row("tokens", records.map { $0.tokens.formatted() }),
      row("finished", progress.map { $0.map { $0.finished?.rawValue ?? "no" } }),
      cards("parameters") { $0.parameterLayout.parameterCount.formatted() },
    ]
    let found =
      rows("best validation", best.map { $0?.metrics }) + [
        row("  at step", best.map { $0.map { $0.step.formatted() } })
      ]
      + rows("test", tests)
    return head + found + [
      row("training time", work.map { $0.seconds > 0 ? Readable.duration($0.seconds) : nil }),
      row("tokens per second", speeds.map { $0.map(Readable.throughput) }, best: Self.leaders(speeds)),
      cards("ranks x threads") { "\($0.provenance.ranks) x \($0.provenance.threads)" },
      cards("oneDNN") { "\($0.provenance.oneDNN) (\($0.provenance.instructionSet))" },
      cards("lockstep") { $0.provenance.program },
      cards("corpus") { String($0.corpus.fingerprint.prefix(12)) },
    ]
  }

  /// Of all runs, each once, in the order of the first that has it.
  private var metrics: [Metric] {
    records.flatMap(\.curves.validationMetrics).reduce(into: []) { all, metric in
      if all[metric.name] == nil { all.append(metric) }
    }
  }

  /// Those with the greatest value; none where there is nothing to choose.
  private static func leaders(_ values: [Double?]) -> Set<Int> {
    let known = values.compactMap { $0 }
    guard let most = known.max(), let least = known.min(), least < most else { return [] }
    return Set(values.indices.filter { values[$0] == most })
  }

  // MARK: - For programs

  struct Report: Encodable {
    struct Run: Encodable {
      let name: String
      let path: String
      let steps: Int
      let epochs: Int?
      let tokens: Int
      let finished: String?
      let parameters: Int?
      let bestValidation: ValidationPoint?
      /// In JSON beside the other keys, as `testPerplexity`.
      let test: [String: Double]
      let trainingSeconds: Double
      let tokensPerSecond: Double?
      let provenance: Provenance?
      let corpus: CorpusIdentity?
      let configuration: RunConfiguration?

      private enum CodingKeys: CodingKey {
        case name, path, steps, epochs, tokens, finished, parameters, bestValidation, trainingSeconds
        case tokensPerSecond, provenance, corpus, configuration
      }

      func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(path, forKey: .path)
        try container.encode(steps, forKey: .steps)
        try container.encodeIfPresent(epochs, forKey: .epochs)
        try container.encode(tokens, forKey: .tokens)
        try container.encodeIfPresent(finished, forKey: .finished)
        try container.encodeIfPresent(parameters, forKey: .parameters)
        try container.encodeIfPresent(bestValidation, forKey: .bestValidation)
        try encoder.encode(metrics: test, prefix: "test")
        try container.encode(trainingSeconds, forKey: .trainingSeconds)
        try container.encodeIfPresent(tokensPerSecond, forKey: .tokensPerSecond)
        try container.encodeIfPresent(provenance, forKey: .provenance)
        try container.encodeIfPresent(corpus, forKey: .corpus)
        try container.encodeIfPresent(configuration, forKey: .configuration)
      }
    }

    let runs: [Run]
    let differing: [String]
  }

  var report: Report {
    Report(
      runs: records.map { record in
        let work = record.curves.work
        return Report.Run(
          name: record.name, path: record.path, steps: record.steps, epochs: record.card?.progress.epoch,
          tokens: record.tokens, finished: record.card?.progress.finished?.rawValue,
          parameters: record.card?.parameterLayout.parameterCount,
          bestValidation: record.curves.best, test: record.card?.results.test ?? [:],
          trainingSeconds: work.seconds,
          tokensPerSecond: work.seconds > 0 ? Double(work.tokens) / work.seconds : nil,
          provenance: record.card?.provenance, corpus: record.card?.corpus,
          configuration: record.card?.configuration)
      }, differing: differing)
  }
}

extension RunRecord {
  fileprivate var steps: Int { card?.progress.step ?? curves.training.last?.step ?? 0 }
  fileprivate var tokens: Int { card?.progress.tokens ?? curves.training.last?.tokens ?? 0 }
}

/// A value of a configuration, whichever it is.
private enum SettingValue: Decodable {
  case single(String)
  case list([SettingValue])
  case section([String: SettingValue])

  init(from decoder: any Decoder) throws {
    if let section = try? decoder.container(keyedBy: AnyKey.self) {
      self = .section(
        Dictionary(
          uniqueKeysWithValues: try section.allKeys.map {
            ($0.stringValue, try section.decode(SettingValue.self, forKey: $0))
          }))
      return
    }
    let container = try decoder.singleValueContainer()
    if let list = try? container.decode([SettingValue].self) {
      self = .list(list)
    } else if let flag = try? container.decode(Bool.self) {
      self = .single("\(flag)")
    } else if let number = try? container.decode(UInt64.self) {
      self = .single("\(number)")
    } else if let number = try? container.decode(Double.self) {
      self = .single("\(number)")
    } else {
      let text = container.decodeNil() ? "none" : try container.decode(String.self)
      self = .single(text.isEmpty ? "\"\"" : text)
    }
  }

  private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// Such as `model.hiddenSizes` with `[200, 200]`.
  static func flattened(_ configuration: RunConfiguration) throws -> [String: String] {
    let json = try JSONEncoder().encode(configuration)
    var flat: [String: String] = [:]
    try JSONDecoder().decode(SettingValue.self, from: json).flatten(under: "", into: &flat)
    return flat
  }

  private func flatten(under key: String, into flat: inout [String: String]) {
    guard case .section(let section) = self else {
      flat[key] = text
      return
    }
    for (name, value) in section { value.flatten(under: key.isEmpty ? name : "\(key).\(name)", into: &flat) }
  }

  private var text: String {
    switch self {
    case .single(let text): text
    case .list(let values): "[\(values.map(\.text).joined(separator: ", "))]"
    case .section(let section):
      "{\(section.sorted { $0.key < $1.key }.map { "\($0): \($1.text)" }.joined(separator: ", "))}"
    }
  }
}
