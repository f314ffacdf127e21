import Foundation
import TestSupport
import Testing

/// Threads of the programs on a machine that others use too.
@Suite struct ThreadTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try folder.writeSmallConfiguration()
    try folder.write("lines.txt", "the cats run .\n")
  }

  private func lockstep(_ arguments: [String], _ environment: [String: String]) throws -> Outcome {
    let outcome = try Programs.run(
      "\(Programs.folder)/lockstep", arguments, in: folder.path, environment: environment)
    #expect(outcome.status == 0, "\(arguments): \(outcome.error)")
    return outcome
  }

  private func train(_ name: String, _ environment: [String: String]) throws -> Outcome {
    try lockstep(["train", "small.yaml"] + set("name=\(name)", "training.maximumSteps=2"), environment)
  }

  @Test func moreThreadsThanProcessorsAreToldOf() throws {
    let count = 2 * ProcessInfo.processInfo.activeProcessorCount
    let warning = "warning: \(count) threads share the "
    let (one, many) = (["OMP_NUM_THREADS": "1"], ["OMP_NUM_THREADS": "\(count)"])
    #expect(try !train("small", one).output.contains("threads share") && train("many", many).output.contains(warning))
    for arguments in [
      ["score", "checkpoints/small", "lines.txt"], ["evaluate", "checkpoints/small", "lines.txt"],
      ["generate", "checkpoints/small", "--length", "3"], ["complete", "checkpoints/small"],
    ] {
      #expect(try lockstep(arguments, many).error.contains(warning), "\(arguments)")
      #expect(try !lockstep(arguments, one).error.contains("threads share"), "\(arguments)")
    }
  }

  /// OpenMP itself says how long threads spin, each time that it is loaded.
  @Test func threadsSpinBriefly() throws {
    func spins(_ name: String, _ environment: [String: String]) throws -> [Substring] {
      let shown = environment.merging(["OMP_DISPLAY_ENV": "verbose", "OMP_NUM_THREADS": "2"]) { $1 }
      return try train(name, shown).error.split(separator: "\n").filter { $0.contains("GOMP_SPINCOUNT") }
    }
    let own = try spins("free", [:])
    #expect(own.count == 2 && own.last?.contains("'1000'") == true, "\(own)")
    // Whoever says how to wait is heeded.
    #expect(try spins("counted", ["GOMP_SPINCOUNT": "77"]).map { $0.contains("'77'") } == [true])
    #expect(try spins("passive", ["OMP_WAIT_POLICY": "passive"]).map { $0.contains("'0'") } == [true])
  }
}
