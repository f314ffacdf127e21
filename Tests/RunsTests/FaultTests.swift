import Checkpoints
import Foundation
import Glibc
import TaskRegistry
import TestSupport
import Testing
import Training

@testable import Files
@testable import Runs

/// Disks that fail while a run saves: whichever call it is, the run resumes or stops with an error, what was saved
/// before stays whole, and the run started again ends as if nothing had been.
@Suite(.serialized) struct FaultTests {
  private final class Log: Reporter {
    var warnings: [String] = []
    func report(_ event: RunEvent) {
      if case .warning(let message) = event { warnings.append(message) }
    }
  }

  private let folder: TemporaryFolder
  private let directory: String

  init() throws {
    folder = try TemporaryFolder()
    directory = folder.file("checkpoints")
  }

  private func configuration(_ name: String) throws -> RunConfiguration {
    try ConfigurationReader.read(
      yaml: """
        name: \(name)
        corpus: {sampleLines: 150, cache: \(folder.file("corpora"))}
        model: {embeddingSize: 8, hiddenSizes: [8]}
        training: {batchSize: 10, sequenceLength: 12, epochs: 1}
        coordinator: {checkpoint: [8 steps]}
        generation: {length: 5, temperatures: [1]}
        output: {directory: \(directory), curveSteps: 3}
        """)
  }

  @discardableResult
  private func run(_ name: String) throws -> Log {
    let log = Log()
    let outcome = try Run(
      configuration(name), task: TaskKind.languageModel.task, group: SingleRank(), reporter: log, resume: .auto
    ).start()
    #expect(outcome == .finished)
    return log
  }

  @Test(arguments: [
    (FaultPlan.Extent.once, EIO), (.lasting, ENOSPC), (.lastingAfterHalf, ENOSPC),
  ])
  func everyCallMayFail(extent: FaultPlan.Extent, code: Int32) throws {
    try run("whole")
    let numbers = try folder.numbers(of: "whole")
    let path = "\(directory)/failing"
    let counted = try FaultPlan.during(FaultPlan(path: path, call: .max, code: code, extent: extent)) {
      try run("failing")
    }
    #expect(counted.calls > 30 && counted.failed.isEmpty)
    var (stopped, wentOn) = (0, 0)
    for call in 1...counted.calls {
      try FileManager.default.removeItem(atPath: path)
      let store = CheckpointStore(path)
      var error: (any Error)?
      var log: Log?
      let faults = FaultPlan.during(FaultPlan(path: path, call: call, code: code, extent: extent)) {
        do { log = try run("failing") } catch let failure { error = failure }
      }
      // A half write is no failure of its own, and the last one's other half may be the last call of all.
      #expect(!faults.failed.isEmpty || extent == .lastingAfterHalf, "call \(call)")
      if let error {
        stopped += 1
        #expect("\(error)".contains(String(cString: strerror(code))), "call \(call): \(error)")
      } else {
        wentOn += 1
        #expect(
          log?.warnings.isEmpty == faults.failed.isEmpty, "call \(call), \(faults.failed): \(log?.warnings ?? [])")
      }
      for step in try store.steps() {
        #expect(throws: Never.self, "call \(call), step \(step)") { try CheckpointFile(store.path(step: step)) }
      }
      try run("failing")
      #expect(try folder.numbers(of: "failing") == numbers, "call \(call)")
      let left = try FileSystem.list(path).filter { $0.contains("partial") }
      #expect(left.isEmpty, "call \(call)")
    }
    #expect(stopped > 0 && (wentOn > 0 || extent != .once))
  }
}
