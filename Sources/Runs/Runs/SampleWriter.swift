import Checkpoints
import Corpus
import Foundation
import Inference
import Networks
import Tasks
import Training

/// Writes a run's own samples: one of every prompt and temperature, the ranks some each.
struct SampleWriter {
  private let configuration: RunConfiguration
  private let task: any LearningTask
  private let tokenizer: Tokenizer
  private let parameters: Parameters
  private let group: any RankGroup
  private let cancellation: CancellationToken

  init(
    _ configuration: RunConfiguration, _ task: any LearningTask, _ tokenizer: Tokenizer, _ parameters: Parameters,
    group: any RankGroup, cancellation: CancellationToken
  ) {
    self.configuration = configuration
    self.task = task
    self.tokenizer = tokenizer
    self.parameters = parameters
    self.group = group
    self.cancellation = cancellation
  }

  /// With the parameters as they are; `step` is theirs. All ranks take part, and have all samples. Throws `StopRequest`.
  func write(step: Int) throws -> [Sample] {
    let settings = configuration.generation
    let texts = settings.prompts.flatMap { prompt in settings.temperatures.map { (prompt, $0) } }
    let goOn = cancellation.patiently()
    let own = try cancellation.together(of: group) {
      let predictor = try task.makePredictor(parameters)
      return try stride(from: group.rank, to: texts.count, by: group.count).map { stream in
        let (prompt, temperature) = texts[stream]
        let writer = try TextGenerator(
          tokenizer, predictor, prompt: Prompt(prompt.utf8),
          SamplingSettings(temperature: temperature, seed: configuration.seed, stream: stream))
        return Sample(
          step: step, temperature: temperature, seed: configuration.seed, stream: stream, prompt: prompt,
          text: String(decoding: try writer.write(settings.length, each: goOn), as: UTF8.self))
      }
    }
    let all = try group.allGather(Array(JSONEncoder().encode(own))).flatMap {
      try JSONDecoder().decode([Sample].self, from: Data($0))
    }
    return all.sorted { $0.stream < $1.stream }
  }
}
