import ArgumentParser

import ControlClient
import Foundation
import Runs
import Terminal

extension JobCommand {
  struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Follows a job until it ends: its curves, speed, ranks and messages.",
      discussion: """
        Without a number it follows the job that runs, or is next; and of a run that
        runs by itself, that one. On a terminal it draws over itself; elsewhere it
        writes a line every few seconds, and with --format json every event as one
        object a line. It continues after the daemon has been restarted.

          lockstep job watch
          lockstep job watch 3 --format json > events.jsonl
          lockstep job watch --directory checkpoints/default

        The exit status is 0 when the run is finished, 1 when it has failed or the
        daemon does not come back, 2 when it was cancelled, 75 when it was stopped and
        can be resumed, and 130 after Ctrl-C, which stops only this command.
        """)

    @Argument(help: "The job's number.")
    var id: Int?

    @OptionGroup var options: AskOptions

    @Option(help: ArgumentHelp("How long to wait for a daemon that has gone away.", valueName: "seconds"))
    var patience = 600.0

    @Option(help: ArgumentHelp("Time between lines where they are not drawn over.", valueName: "seconds"))
    var interval = 5.0

    func validate() throws {
      for (name, value) in [("patience", patience), ("interval", interval)] {
        guard value >= 0, value <= 1e9 else {
          throw ValidationError("--\(name) is \(value); expected a number of seconds, 0 or more")
        }
      }
    }

    func run() throws {
      Console.ignoreBrokenPipes()
      let display: any WatchDisplay.Type =
        switch options.format {
        case .json: WatchJSON.self
        case .text: Console.outputIsTerminal ? WatchScreen.self : WatchLines.self
        }
      let watcher = JobWatcher(daemon: try options.daemon, id: id, patience: .seconds(patience))
      let ending = AskEnding { WatchScreen.restore() }
      StopSignals.handle(AskSignals.ending + [SIGWINCH]) { number in
        if number == SIGWINCH { watcher.redraw() } else { ending.end() }
      }
      let outcome: JobWatcher.Outcome
      do {
        outcome = try waitFor(started: ending.watch) {
          try await watcher.run(display.init(interval: .seconds(interval)))
        }
      } catch is CancellationError {
        throw ExitCode(AskSignals.interrupted)
      }
      switch outcome {
      case .finished, .outputClosed: return
      case .failed: throw ExitCode.failure
      case .cancelled: throw ExitCode(2)
      case .stopped: throw ExitCode(Interruption.exitStatus)
      }
    }
  }
}
