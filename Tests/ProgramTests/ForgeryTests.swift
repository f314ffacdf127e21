import Foundation
import TestSupport
import Testing

@testable import HDF5Files

/// Checkpoints that were damaged by someone who then made their digest fit. HDF5 does not survive all of them; the process
/// that reads one may be lost, and nothing else.
///
/// A tally over more of them: `LOCKSTEP_FORGERIES=2000 launch/test --filter ForgeryTests`.
@Suite struct ForgeryTests {
  @Test func onlyTheReadersProcessMayBeLost() throws {
    let folder = try TemporaryFolder()
    let trained = try Programs.lockstep(
      "train", try folder.writeSmallConfiguration(), "--set", "model.hiddenSizes=[8]", in: folder.path)
    #expect(trained.status == 0, "\(trained.error)")
    let runs = folder.file("checkpoints/small")
    let names = try FileManager.default.contentsOfDirectory(atPath: runs).filter { $0.hasSuffix(".h5") }
    func contents() throws -> [Data] {
      try names.map { try Data(contentsOf: URL(fileURLWithPath: "\(runs)/\($0)")) }
    }
    let before = try contents()
    let newest = try #require(names.filter { $0.hasPrefix("step-") }.max())
    let whole = try Data(contentsOf: URL(fileURLWithPath: "\(runs)/\(newest)"))

    var random = SeededRandom(seed: 1)
    let forgeries = ProcessInfo.processInfo.environment["LOCKSTEP_FORGERIES"].flatMap { Int($0) } ?? 40
    var tally: [String: Int] = [:]
    for _ in 0..<forgeries {
      var body = [UInt8](whole.dropFirst(ContainerHeader.size))
      body[.random(in: body.indices, using: &random)] ^= .random(in: 1...255, using: &random)
      let header = body.withUnsafeBytes { ContainerHeader(kind: "checkpoint", formatVersion: 1, data: $0) }
      try folder.write("forged.h5", header.encoded() + body)
      let outcome = try Programs.lockstep("generate", "forged.h5", "--length", "1", in: folder.path, seconds: 5)
      let end =
        switch outcome.status {
        case 0: "loaded"
        case 1: "refused"
        case -1: "ended after five seconds"
        default: "killed by signal \(outcome.status)"
        }
      tally[end, default: 0] += 1
      if outcome.status == 1 { #expect(outcome.error.contains("forged.h5"), "\(outcome.error)") }
    }
    print("\(forgeries) forgeries: \(tally)")
    #expect(try contents() == before)
    #expect(try Programs.lockstep("generate", runs, "--length", "1", in: folder.path).status == 0)
  }
}
