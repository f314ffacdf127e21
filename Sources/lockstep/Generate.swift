import ArgumentParser
import Model
import Runs

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes text with a model, as it goes.",
    discussion: """
      The same model, prompt, seed and temperature give the same text.

        lockstep generate checkpoints/default --length 60
        lockstep generate checkpoints/tiny-shakespeare --prompt "ROMEO:" --length 500 --temperature 0.8 --seed 7
      """)

  @Argument(help: "A checkpoint, or a run's folder (its newest checkpoint).")
  var model: String

  @Option(help: "What the text begins with. Default: the beginning of a line.")
  var prompt = ""

  @Option(help: "Tokens to write: characters, bytes or words, as the model has them.")
  var length = 200

  @Option(help: "1 draws as the model says, less plays it safer, 0 takes the most probable token.")
  var temperature = 0.8

  @Option(help: "Number that decides what is drawn.")
  var seed: UInt64 = 1

  func validate() throws {
    guard length >= 0 else { throw ValidationError("--length is \(length); expected 0 or more") }
    guard temperature >= 0, temperature.isFinite else {
      throw ValidationError("--temperature is \(temperature); expected a number of 0 or more")
    }
  }

  func run() throws {
    let model = try SavedModel(model)
    // With the first token, since a prompt may be refused.
    var begun = false
    try model.generate(prompt: prompt, length: length, settings: SamplingSettings(temperature: temperature, seed: seed))
    {
      if !begun { Console.output(prompt) }
      begun = true
      Console.output($0)
    }
    Console.output("\n")
  }
}
