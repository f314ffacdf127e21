import Glibc

/// Runs commands side by side, each for a bounded time.
enum CommandRunner {
  struct Result: Equatable {
    /// nil: it did not end in time.
    var status: Int32?
    var output: String
    var error: String
  }

  private struct Running {
    let index: Int
    let process: ChildProcess
    let output: ScratchFile
    let error: ScratchFile
    let deadline: ContinuousClock.Instant
  }

  /// So many at a time: an ssh client each.
  private static let most = 64

  /// Gives each command `input` to read, and each `seconds`. Stops early, with what has not ended counting as late, once
  /// `isUnwanted` says so. Throws `LaunchError` where a command cannot be started at all.
  static func run(
    _ commands: [[String]], input: [UInt8], seconds: Double, isUnwanted: () -> Bool = { false }
  ) throws -> [Result] {
    var results = commands.map { _ in Result(status: nil, output: "", error: "") }
    var waiting = Array(commands.indices.reversed())
    var running: [Running] = []
    defer { for one in running { one.process.signalGroup(SIGKILL) } }
    while !waiting.isEmpty || !running.isEmpty {
      while running.count < most, let index = waiting.popLast() {
        let (output, error) = (try ScratchFile(), try ScratchFile())
        let input = try ScratchFile(input)
        let process = try ChildProcess(
          commands[index], input: input.descriptor, output: output.descriptor, error: error.descriptor)
        running.append(
          Running(
            index: index, process: process, output: output, error: error,
            deadline: .now + .seconds(seconds)))
      }
      running.removeAll { one in
        let ending = one.process.poll()
        guard ending != nil || .now >= one.deadline || isUnwanted() else { return false }
        if ending == nil { end(one.process) }
        results[one.index] = Result(status: ending?.status, output: one.output.text(), error: one.error.text())
        return true
      }
      usleep(10_000)
    }
    return results
  }

  private static func end(_ process: ChildProcess) {
    process.signalGroup(SIGKILL)
    for _ in 0..<100 where process.poll() == nil { usleep(10_000) }
  }
}
