import Glibc
import MPI
import Runs

/// A program all of whose ranks run the same body, and end together when it fails.
public enum MPIProgram {
  /// Starts MPI, runs `body` on every rank and returns its exit status, or 1 after an error. An error is printed once if every
  /// rank comes to an end; a rank whose peers are elsewhere says what it met and ends them all.
  public static func run(_ name: String, _ body: (MPIRankGroup) throws -> Int32) -> Int32 {
    do {
      return try World.run {
        let group = try MPIRankGroup()
        do {
          return try body(group)
        } catch {
          if group.allArrive(within: .seconds(2)) {
            if group.isFirst { Console.error("\(name): error: \(error)\n") }
            return 1
          }
          Console.error("\(name): error on rank \(group.rank) (\(group.host)): \(error)\n")
          World.abort(status: 1)
        }
      }
    } catch {
      Console.error("\(name): error: cannot start MPI: \(error)\n")
      return 1
    }
  }
}
