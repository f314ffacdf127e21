import ArgumentParser
import ControlAPI
import ControlClient
import Files
import ProgramOptions
import Runs

struct JobCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "job",
    abstract: "Submits runs to a daemon's queue, and follows them.",
    discussion: """
        lockstep job submit configs/default.yaml --set training.epochs=3
        lockstep job list
        lockstep job watch 3
        lockstep job cancel 3
      """,
    subcommands: [
      Submit.self, List.self, Show.self, Watch.self, Cancel.self, Pause.self, Resume.self, Move.self,
    ])

  struct Submit: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Puts a run at the end of the daemon's queue.",
      discussion: """
        The configuration is checked at once. Paths in it are taken from the folder
        that the daemon was started in, and the run's own folder is made in the
        daemon's, whatever output.directory says.

          lockstep job submit configs/default.yaml
          lockstep job submit configs/default.yaml --set name=short --set training.epochs=2 --format json
        """)

    @Argument(
      help: "The run's configuration, a YAML file (see configs/README.md); - is standard input.",
      completion: .file(extensions: ["yaml", "yml"]))
    var configuration: String

    @Option(
      name: .customLong("set"), parsing: .singleValue,
      help: ArgumentHelp(
        "Overrides one key of the file, such as training.epochs=3. May be repeated.", valueName: "key=value"))
    var settings: [String] = []

    @OptionGroup var options: AskOptions

    func run() throws {
      let submission = JobSubmission(
        configuration: try RunOptions.text(of: configuration).text, settings: settings)
      try options.ask({ try await $0.submit(submission) }) { "job \($0.id): \($0.name), \($0.state.rawValue)" }
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists the queue: the job that runs, those that wait or pause, and those that are over.",
      discussion: """
          lockstep job list
          lockstep job list --format json
        """)

    @OptionGroup var options: AskOptions

    func run() throws {
      try options.ask({ try await $0.jobs() }) { list in
        if list.jobs.isEmpty { return "the queue is empty; lockstep job submit CONFIG puts a run in it" }
        let rows = list.jobs.map { job in
          [
            "\(job.id)", Readable.line(job.name), job.state.rawValue, progress(job),
            Readable.number(job.validation.sorted { $0.key < $1.key }.first?.value), Readable.date(job.submitted),
          ]
        }
        return Readable.table([["job", "run", "state", "step", "validation", "submitted"]] + rows)
          .joined(separator: "\n")
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Shows one job: how far it has come, and why it failed.",
      discussion: "  lockstep job show 3")

    @Argument(help: "The job's number.")
    var id: Int

    @OptionGroup var options: AskOptions

    func run() throws { try options.ask({ [id] in try await $0.job(id) }, text: details) }
  }

  struct Cancel: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Takes a job out of the queue; one that runs stops after the step under way, with a checkpoint.",
      discussion: "  lockstep job cancel 3")

    @Argument(help: "The job's number.")
    var id: Int

    @OptionGroup var options: AskOptions

    func run() throws { try options.ask({ [id] in try await $0.cancel(id) }) { summary($0, wish: "cancelled") } }
  }

  struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lets a job wait until it is resumed; one that runs saves a checkpoint first, and the next one begins.",
      discussion: "  lockstep job pause 3")

    @Argument(help: "The job's number.")
    var id: Int

    @OptionGroup var options: AskOptions

    func run() throws { try options.ask({ [id] in try await $0.pause(id) }) { summary($0, wish: "paused") } }
  }

  struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lets a paused job run when its turn comes, from where it was.",
      discussion: "  lockstep job resume 3")

    @Argument(help: "The job's number.")
    var id: Int

    @OptionGroup var options: AskOptions

    func run() throws { try options.ask({ [id] in try await $0.resume(id) }) { summary($0) } }
  }

  struct Move: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Moves a job to another place among those that wait or pause.",
      discussion: """
          lockstep job move 3 0      # the next to run
          lockstep job move 3 1000   # the last
        """)

    @Argument(help: "The job's number.")
    var id: Int

    @Argument(help: "Its new place, from 0.")
    var position: Int

    @OptionGroup var options: AskOptions

    func validate() throws {
      guard position >= 0 else { throw ValidationError("the position is \(position); expected 0 or more") }
    }

    func run() throws {
      try options.ask({ [id, position] in try await $0.move(id, to: position) }) { summary($0) }
    }
  }

  /// `wish` is what a job that still runs will be.
  private static func summary(_ job: Job, wish: String? = nil) -> String {
    let state = job.state == .running ? wish.map { "runs, and is \($0) after its step" } : nil
    return "job \(job.id) (\(Readable.line(job.name))): \(state ?? job.state.rawValue)"
  }

  private static func progress(_ job: Job) -> String {
    guard let step = job.step else { return "-" }
    return job.totalSteps.map { "\(step)/\($0)" } ?? "\(step)"
  }

  private static func details(_ job: Job) -> String {
    let entries: [(String, String?)] = [
      ("job", "\(job.id)"), ("run", Readable.line(job.name)), ("state", job.state.rawValue), ("step", progress(job)),
      ("submitted", Readable.date(job.submitted)), ("started", job.started.map(Readable.date)),
      ("ended", job.ended.map(Readable.date)),
      ("deaths of the daemon", job.deaths > 0 ? "\(job.deaths)" : nil), ("error", job.error.map(Readable.line)),
    ]
    let validation = job.validation.sorted { $0.key < $1.key }.map {
      ["validation \($0.key)", Readable.number($0.value)]
    }
    let rows = entries.compactMap { name, value in value.map { [name, $0] } }
    return Readable.table(rows[..<4] + validation + rows[4...]).joined(separator: "\n")
  }
}
