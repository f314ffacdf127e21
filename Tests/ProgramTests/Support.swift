import Checkpoints
import Foundation
import TestSupport
import Testing

/// A small run that learns in a second or two.
let smallConfiguration = """
  name: small
  corpus: {sampleLines: 2000}
  model: {embeddingSize: 16, hiddenSizes: [24, 16]}
  training: {batchSize: 10, sequenceLength: 12, epochs: 1, bucketSize: 1000}
  optimizer: {kind: adam, learningRate: 0.01}
  generation: {length: 10, temperatures: [0.5]}
  """

/// For runs that have to be met under way: they end when they are told to, by a signal or by
/// `training.maximumSteps` when they are gone on with, so that it does not matter how late a test comes.
let endless = set("training.epochs=100000")

extension TemporaryFolder {
  /// Writes the small run's configuration and returns its name.
  func writeSmallConfiguration() throws -> String {
    try write("small.yaml", smallConfiguration)
    return "small.yaml"
  }

  /// Of a run, the step of its newest checkpoint; 0 if it has none.
  func savedStep(of run: String, in runs: String = "checkpoints") throws -> Int {
    try CheckpointStore(file("\(runs)/\(run)")).steps().last ?? 0
  }
}

extension Outcome {
  /// The events of a run told as JSON lines.
  func events(_ name: String) throws -> [[String: Any]] {
    try lines.compactMap { line in
      let event = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return event?["event"] as? String == name ? event : nil
    }
  }

  func losses() throws -> [Double] { try events("step").compactMap { $0["loss"] as? Double } }
}

/// Arguments for key=value settings.
func set(_ settings: String...) -> [String] { settings.flatMap { ["--set", $0] } }
