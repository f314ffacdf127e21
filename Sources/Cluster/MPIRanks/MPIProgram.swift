import Files
import Foundation
import Heartbeats
import MPI
import Runs
import Terminal
import Training

/// What MPI cannot do is mostly because of another rank that is gone.
extension MPIError: PassingError {
  public var mayPass: Bool { true }
}

/// A program all of whose ranks run the same body, watch over each other, and end together when it fails.
public enum MPIProgram {
  /// Starts MPI, runs `body` on every rank and returns its exit status, or 1 after an error. An error is printed once if every
  /// rank comes to an end; a rank whose peers are elsewhere says what it met and ends them all.
  public static func run(_ name: String, _ body: (MPIRankGroup) throws -> Int32) -> Int32 {
    RankBinding.loosen()  // before there are other threads, which would stay bound
    let watchdog = Watchdog()
    let tasks = StartedTasks(ProcessInfo.processInfo.environment)
    // Where there is no mpirun, MPI starts a program of its own.
    Descriptors.closeAllOnExec()
    do {
      return try World.run {
        let group = try MPIRankGroup(watchdog)
        // Again, now that it is known which rank this is, and in place of what MPI may have put there.
        MappedFile.explainTruncation(as: "\(name): error on rank \(group.rank) (\(group.host)): ")
        // Each would train the run for itself, or find it in use by another of them.
        if let tasks, let fault = tasks.fault(ranks: group.count, library: World.library) {
          if tasks.number == 0 { Console.error("\(name): error: \(fault)\n") }
          watchdog.end(ExitReport(status: 1, message: fault))
          return 1
        }
        do {
          try watchdog.watch(group)
          let status = try body(group)
          watchdog.end(ExitReport(status: status))
          return status
        } catch {
          if group.meetAfterError() {
            if group.isFirst { Console.error("\(name): error: \(error)\n") }
            watchdog.end(ExitReport(status: 1, message: "\(error)", mayPass: mayPass(error)))
            return 1
          }
          Console.error("\(name): error on rank \(group.rank) (\(group.host)): \(error)\n")
          watchdog.end(
            ExitReport(status: 1, message: "rank \(group.rank) on \(group.host): \(error)", mayPass: mayPass(error)))
          World.abort(status: 1)
        }
      }
    } catch {
      Console.error("\(name): error: cannot start MPI: \(error)\n")
      watchdog.end(ExitReport(status: 1, message: "cannot start MPI: \(error)"))
      return 1
    }
  }
}
