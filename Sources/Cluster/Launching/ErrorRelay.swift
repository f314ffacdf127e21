import Files
import Glibc
import Runs
import Terminal

/// Forwards the standard error of started ranks, except mpirun's messages on exit statuses that are already known.
final class ErrorRelay {
  /// For the ranks' launcher, which gets a copy; to be closed here then.
  let writeEnd: Int32
  private let readEnd: Int32
  private var blocks = StatusBlocks()
  private var isClosed = false

  /// Throws `LaunchError`.
  init() throws {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else {
      throw LaunchError("cannot make a pipe: \(String(cString: strerror(errno)))")
    }
    for end in ends { Descriptors.closeOnExec(end) }
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    (readEnd, writeEnd) = (ends[0], ends[1])
  }

  deinit {
    closeWriteEnd()
    close(readEnd)
  }

  func closeWriteEnd() {
    if !isClosed { close(writeEnd) }
    isClosed = true
  }

  /// Forwards the data that has arrived.
  func pass() {
    let come = read()
    show(come.isEmpty ? blocks.settle() : blocks.take(come))
  }

  /// Hands on the rest, when there will be no more. `hidesStatuses`: but for mpirun's words on exit statuses.
  func end(hidesStatuses: Bool) {
    show(blocks.take(read()))
    show(blocks.end(hiding: hidesStatuses))
  }

  /// All that has been written.
  private func read() -> [UInt8] {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(readEnd, &buffer, buffer.count)
      if count <= 0 { return all }
      all += buffer.prefix(count)
    }
  }

  private func show(_ bytes: [UInt8]) {
    if !bytes.isEmpty { Console.error(bytes) }
  }
}

/// Ranks that mpirun or srun has started.
final class LaunchedRanks: StartedRanks {
  private let process: ChildProcess
  private let errors: ErrorRelay

  init(_ process: ChildProcess, errors: ErrorRelay) {
    self.process = process
    self.errors = errors
    errors.closeWriteEnd()
  }

  func poll() -> ChildProcess.Ending? {
    let ending = process.poll()
    errors.pass()
    return ending
  }

  func signal(_ number: Int32) { process.signal(number) }
  func signalGroup(_ number: Int32) { process.signalGroup(number) }
  func end(hidesStatuses: Bool) { errors.end(hidesStatuses: hidesStatuses) }
}
