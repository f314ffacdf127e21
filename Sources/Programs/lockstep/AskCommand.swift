import ArgumentParser
import ControlAPI
import ControlClient
import Files
import Runs

struct AskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ask",
    abstract: "Asks a daemon about the run it trains, while it trains, and tells it what to do.",
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
      abstract: "Tells how a run stands: step, perplexity, rate, time left, and the work of each rank.",
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
      abstract: "Tells how well the model, as it is now, predicts the validation or test text.",
      discussion: """
        Training stands still for as long as it takes, unless the daemon keeps ranks
        for it.

          lockstep ask evaluate
          lockstep ask evaluate --part test --format json
        """)

    @OptionGroup var options: AskOptions

    @Option(help: "The text: validation or test.")
    var part: EvaluationRequest.Part = .validation

    func run() throws {
      try options.ask({ [part] in try await $0.evaluate(EvaluationRequest(part: part)) }) { result in
        """
        step         \(result.step)
        predictions  \(result.tokens) of the \(result.part.rawValue) text
        loss         \(Readable.number(result.loss)) nats, \(Readable.number(result.bitsPerToken)) bits a token
        perplexity   \(Readable.number(result.perplexity))
        took         \(Readable.duration(result.seconds)); training stood still for \
        \(Readable.duration(result.pausedSeconds))
        """
      }
    }
  }

  struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Writes text with the model as it is now, as it goes.",
      discussion: """
        The text goes to standard output; what it was made with, to standard error.
        Ctrl-C ends it. With --format json it comes whole, when it is done. The prompt
        is UTF-8; it begins a line, unless --no-begin says that it stands in one.

          lockstep ask generate --prompt "the cats" --length 60
          lockstep ask generate --temperature 0.7 --top-k 40 --seed 7
        """)

    @OptionGroup var options: AskOptions

    @Option(help: "What the text begins with. Default: nothing, the beginning of a line.")
    var prompt: TextArgument?

    @Flag(inversion: .prefixedNo, help: "Whether the prompt begins a line, or stands in the middle of one.")
    var begin = true

    @Option(help: "Tokens to write: characters, bytes or words, as the model has them.")
    var length = GenerationRequest().length

    @Option(help: "1 draws as the model says, less plays it safer, 0 takes the most probable token.")
    var temperature = GenerationRequest().temperature

    @Option(help: "Draws from only so many of the most probable tokens; 0: from all.")
    var topK = GenerationRequest().topK

    @Option(help: "Draws from only the most probable tokens that together have this probability; 1: from all.")
    var topP = GenerationRequest().topP

    @Option(help: "Draws from only tokens at least so many times as probable as the most probable one; 0: from all.")
    var minP = GenerationRequest().minP

    @Option(help: "Ends the text before the first place where this comes up in it. May be given several times.")
    var stop: [TextArgument] = []

    @Option(help: "Number that decides what is drawn. Default: another one each time.")
    var seed: UInt64?

    private var request: GenerationRequest {
      get throws {
        var request = GenerationRequest()
        guard let prompt = String(validating: prompt?.bytes ?? [], as: UTF8.self) else {
          throw ValidationError("--prompt is no UTF-8; expected a text, since a daemon is asked in JSON")
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
            throw ValidationError("--stop is no UTF-8; expected a text, since a daemon is asked in JSON")
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
      abstract: "Saves a checkpoint now, and tells its path when it is safe on disk.",
      discussion: "  lockstep ask checkpoint")

    @OptionGroup var options: AskOptions

    func run() throws {
      try options.ask({ try await $0.checkpoint() }) { "step \($0.step): \($0.path)" }
    }
  }

  struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lets training stand still after the step under way, the ranks asleep.",
      discussion: """
        The model stays in memory: `lockstep ask resume` goes on at once. To let
        another run have the ranks, pause the job: `lockstep job pause`.

          lockstep ask pause
        """)

    @OptionGroup var options: AskOptions

    func run() throws { try options.ask({ try await $0.pause() }, text: \.message) }
  }

  struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lets training that was paused go on.",
      discussion: "  lockstep ask resume")

    @OptionGroup var options: AskOptions

    func run() throws { try options.ask({ try await $0.resume() }, text: \.message) }
  }

  struct Stop: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Stops the run after the step under way, with a checkpoint to go on from.",
      discussion: "  lockstep ask stop --directory checkpoints/default")

    @OptionGroup var options: AskOptions

    func run() throws { try options.ask({ try await $0.stop() }, text: \.message) }
  }
}

extension EvaluationRequest.Part: ExpressibleByArgument {}
