import ArgumentParser
import ControlAPI
import ControlClient
import Foundation
import Runs
import Synchronization
import Terminal

/// Which daemon is asked, and how its answer is shown.
struct AskOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The folder of a daemon, or of a run without a daemon, such as checkpoints/default. Default: checkpoints.",
      valueName: "folder"), completion: .directory)
  var directory: String?

  @Option(
    help: ArgumentHelp(
      "A daemon that listens on TCP, as in http://127.0.0.1:8080, in place of --directory.", valueName: "url"))
  var address: String?

  @Option(
    help: ArgumentHelp(
      "The file with the token for --address: control.token in the daemon's folder.", valueName: "file"),
    completion: .file())
  var tokenFile: String?

  @Option(help: "text for people, or json for the daemon's answer.")
  var format: OutputFormat = .text

  func validate() throws { _ = try daemon }

  /// Where the daemon is to be asked.
  var daemon: ControlAddress {
    get throws {
      switch (address, tokenFile) {
      case (let address?, let tokenFile?):
        guard directory == nil else {
          throw ValidationError("--directory and --address both say where the daemon is; expected one of them")
        }
        do {
          return try .tcp(address: address, tokenFile: tokenFile)
        } catch let error as ControlError {
          throw ValidationError(error.description)
        }
      case (nil, nil): return .folder(directory ?? "checkpoints")
      case (_?, nil):
        throw ValidationError("--address needs --token-file: the file control.token in the daemon's folder")
      case (nil, _?): throw ValidationError("--token-file is for --address, which says where the daemon listens")
      }
    }
  }

  /// Asks one thing and shows the answer.
  func ask<Value: Sendable>(
    _ request: @escaping @Sendable (ControlClient) async throws -> Answer<Value>,
    text: (Value) -> String
  ) throws {
    let daemon = try daemon
    let answer = try waitFor { try await ControlClient.with(daemon) { try await request($0) } }
    show(answer, text: text)
  }

  func show<Value>(_ answer: Answer<Value>, text: (Value) -> String) {
    switch format {
    case .text: Console.output(text(answer.value) + "\n")
    case .json: Console.output(answer.json.hasSuffix("\n") ? answer.json : answer.json + "\n")
    }
  }
}

/// Waits for what is asynchronous, on this thread; `started` is given the task, to be cancelled from elsewhere.
func waitFor<Value: Sendable>(
  started: (Task<Void, Never>) -> Void = { _ in }, _ body: @escaping @Sendable () async throws -> Value
) throws -> Value {
  let done = DispatchSemaphore(value: 0)
  let result = ResultBox<Value>()
  started(
    Task.detached {
      do {
        let value = try await body()
        result.value.withLock { $0 = .success(value) }
      } catch {
        result.value.withLock { $0 = .failure(error) }
      }
      done.signal()
    })
  done.wait()
  guard let result = result.value.withLock({ $0 }) else { preconditionFailure("done without a result") }
  return try result.get()
}

private final class ResultBox<Value: Sendable>: Sendable {
  let value = Mutex<Result<Value, any Error>?>(nil)
}

extension Console {
  /// Whether standard output shows colours: a terminal, unless NO_COLOR (no-color.org) or TERM says otherwise.
  static var outputIsColoured: Bool {
    let environment = ProcessInfo.processInfo.environment
    return outputIsTerminal && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
  }

  /// Whether what is written to standard output goes to a pipe that nobody reads any more.
  static var outputIsClosed: Bool {
    var descriptor = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
    return poll(&descriptor, 1, 0) > 0 && descriptor.revents & Int16(POLLERR) != 0
  }
}
