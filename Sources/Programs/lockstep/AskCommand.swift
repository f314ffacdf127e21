import ArgumentParser
import ControlAPI
import ControlClient
import Files
import Runs
import Terminal

struct AskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ask",
    abstract: "Queries and controls a run while it trains.",
    discussion: """
        lockstep ask status
        lockstep ask generate --prompt "the cats" --length 60
        lockstep ask evaluate --part test --directory checkpoints/default
        lockstep ask stop --address http://127.0.0.1:8080 --token-file control.token
      """,
    subcommands: [
      StatusCommand.self, Evaluate.self, Generate.self, Checkpoint.self, Pause.self, Resume.self, Stop.self,
    ])

  struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "status",
      abstract: "Tells how a run stands: step, metrics, rate, time left, and the work of each rank.",
      discussion: """
          lockstep ask status
          lockstep ask status --directory checkpoints/default --format json
        """)

    @OptionGroup var options: AskOptions

    func run() throws {
      try options.ask({ try await $0.status() }) { status in
        StatusText.lines(status).map { $0.rendered(width: .max, coloured: Console.outputIsColoured) }
          .joined(separator: "\n")
      }
    }
  }

  struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Evaluates the current model on the validation or test text.",
      discussion: """
        Training pauses during the evaluation, unless the run has evaluator ranks.

          lockstep ask evaluate
          lockstep ask evaluate --part test --format json
        """)

    @OptionGroup var options: AskOptions

    @Option(help: "The text: validation or test.")
    var part: EvaluationRequest.Part = .validation

    func run() throws {
      try options.ask({ [part] in try await $0.evaluate(EvaluationRequest(part: part)) }) { result in
        let values = result.metrics.compactMap { metric in
          result.values[metric.name].map { value in
            let number = metric.better == nil ? Int(value).formatted() : Readable.number(value)
            return [metric.title, metric.unit.isEmpty ? number : "\(number) \(metric.unit)"]
          }
        }
        let time =
          "\(Readable.duration(result.seconds)); training stood still for \(Readable.duration(result.pausedSeconds))"
        let rows = [["step", "\(result.step)"], ["text", result.part.rawValue]] + values + [["took", time]]
        return Readable.table(rows).joined(separator: "\n")
      }
    }
  }

  struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Writes text with the current model, token by token.",
      discussion: """
        The text goes to standard output, and its settings to standard error.
        Ctrl-C ends it. With --format json it comes whole, when it is done. The prompt
        is UTF-8; it begins a line, unless --no-begin says that it stands in one.

          lockstep ask generate --prompt "the cats" --length 60
          lockstep ask generate --temperature 0.7 --top-k 40 --seed 7
        """)

    @OptionGroup var options: AskOptions

    @Option(help: "Prompt. Default: empty, the start of a line.")
    var prompt: TextArgument?

    @Flag(inversion: .prefixedNo, help: "Whether the prompt begins a line, or stands in the middle of one.")
    var begin = true

    @Option(help: "Tokens to write: characters, bytes or words, as the model has them.")
    var length = GenerationRequest().length

    @Option(
      help:
        "Temperature of the draws: 1 uses the model's probabilities, lower values prefer probable tokens, 0 takes the most probable one."
    )
    var temperature = GenerationRequest().temperature

    @Option(help: "Draws from only so many of the most probable tokens; 0: from all.")
    var topK = GenerationRequest().topK

    @Option(help: "Draws from only the most probable tokens that together have this probability; 1: from all.")
    var topP = GenerationRequest().topP

    @Option(help: "Draws from only tokens at least so many times as probable as the most probable one; 0: from all.")
    var minP = GenerationRequest().minP

    @Option(help: "Ends the text before the first occurrence of this string. May be repeated.")
    var stop: [TextArgument] = []

    @Option(help: "Seed of the random draws. Default: another one each time.")
    var seed: UInt64?

    private var request: GenerationRequest {
      get throws {
        var request = GenerationRequest()
        guard let prompt = String(validating: prompt?.bytes ?? [], as: UTF8.self) else {
          throw ValidationError("--prompt is not UTF-8; requests to a daemon are JSON, which needs UTF-8")
        }
        request.prompt = prompt
        request.begin = begin
        request.length = length
        request.temperature = temperature
        request.topK = topK
        request.topP = topP
        request.minP = minP
        request.stop = try stop.map { text in
          guard let text = String(validating: text.bytes, as: UTF8.self) else {
            throw ValidationError("--stop is not UTF-8; requests to a daemon are JSON, which needs UTF-8")
          }
          return text
        }
        request.seed = seed
        return request
      }
    }

    func validate() throws {
      do {
        try request.validate()
      } catch let error as ErrorBody {
        throw ValidationError(error.message)
      }
    }

    func run() throws {
      Console.ignoreBrokenPipes()
      let request = try request
      if options.format == .json {
        return try options.ask({ try await $0.generate(request) }, text: \.text)
      }
      let daemon = try options.daemon
      let ending = AskEnding()
      StopSignals.handle(AskSignals.ending) { _ in ending.end() }
      do {
        let end = try waitFor(started: ending.watch) {
          try await ControlClient.with(daemon) { try await Self.write(request, $0) }
        }
        Console.error(
          "\(counted(end.tokens, "token")) at step \(end.step) with seed \(end.seed) in \(Readable.duration(end.seconds)); "
            + "training stood still for \(Readable.duration(end.pausedSeconds))\n")
      } catch is CancellationError {
        throw ExitCode(AskSignals.interrupted)
      } catch is OutputClosed {
        // Whoever read the text has enough of it.
      }
    }

    private struct OutputClosed: Error {}

    private static func write(_ request: GenerationRequest, _ client: ControlClient) async throws -> GenerationEnd {
      var begun = false
      // Also behind a text that an error ends.
      defer { if begun { Console.output("\n") } }
      return try await client.generate(request) { text in
        // With the first token, since a prompt may be refused.
        if !begun { Console.output(request.prompt) }
        begun = true
        Console.output(text)
        if Console.outputIsClosed { throw OutputClosed() }
      }
    }
  }

  struct Checkpoint: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Saves a checkpoint now, and prints its path when it is safe on disk.",
      discussion: "  lockstep ask checkpoint")

    @OptionGroup var options: AskOptions

    func run() throws {
      try options.ask({ try await $0.checkpoint() }) { "step \($0.step): \($0.path)" }
    }
  }

  struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Pauses training after the current step; the ranks sleep.",
      discussion: """
        The model stays in memory, so `lockstep ask resume` continues at once. To
        give the ranks to another run, pause the job: `lockstep job pause`.

          lockstep ask pause
        """)

    @OptionGroup var options: AskOptions

    func run() throws { try options.ask({ try await $0.pause() }, text: \.message) }
  }

  struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Resumes paused training.",
      discussion: "  lockstep ask resume")

    @OptionGroup var options: AskOptions

    func run() throws { try options.ask({ try await $0.resume() }, text: \.message) }
  }

  struct Stop: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Stops the run after the current step and saves a checkpoint to resume from.",
      discussion: "  lockstep ask stop --directory checkpoints/default")

    @OptionGroup var options: AskOptions

    func run() throws { try options.ask({ try await $0.stop() }, text: \.message) }
  }
}

extension EvaluationRequest.Part: ExpressibleByArgument {}
