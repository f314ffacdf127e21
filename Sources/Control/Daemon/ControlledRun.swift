import ControlAPI
import ControlServer
import Files
import MPIRanks
import Runs
import TaskRegistry
import Terminal
import Training

/// One run that people and programs can watch and steer while it goes on, over a socket in its folder.
public enum ControlledRun {
  /// On the first rank there is a server from when the run has its folder until it ends; `address` is where it also
  /// listens on TCP. All ranks take part. Throws what the run throws.
  public static func start(
    _ configuration: RunConfiguration, group: MPIRankGroup, reporter: any Reporter, resume: ResumePolicy,
    address: TCPAddress?
  ) throws -> RunOutcome {
    guard group.isFirst else {
      return try Run(
        configuration, task: configuration.task.task, group: group, reporter: SilentReporter(), resume: resume
      ).start()
    }
    let state = ControlState(mode: .run)
    let server = ServerBox()
    state.runBeginning = { directory in
      server.server = try ControlServer(in: directory, at: address, backend: state) {
        Console.error("lockstepd: \($0)\n")
      }
      if let running = server.server, let address = running.address {
        Console.error("lockstepd: listening at http://\(address); the token is in \(running.tokenPath)\n")
      }
    }
    defer { server.stop() }
    let run = Run(
      configuration, task: configuration.task.task, group: group, reporter: ReporterPair(reporter, state),
      resume: resume, control: state)
    do {
      let outcome = try run.start()
      state.runEnded("the run has ended")
      return outcome
    } catch {
      state.runEnded("the run has failed: \(error)")
      throw error
    }
  }

  private final class ServerBox {
    var server: ControlServer?

    /// Before MPI ends, with all its threads.
    func stop() { server?.stop() }
  }
}
