@testable import Checkpoints
import Files
import Foundation
import Networks
import TestSupport
import Testing
import Training

/// Files of every version of the formats stay readable: Tests/Goldens/make_checkpoint.sh made one of each.
@Suite struct FormatTests {
  private let folder = "\(Programs.repository)/Tests/Goldens"

  @Test func checkpointsOfVersion1() throws {
    let file = try CheckpointFile("\(folder)/checkpoint-v1.h5")
    #expect(file.card.configuration.name == "golden" && file.card.configuration.seed == 42)
    #expect(file.card.configuration.model.hiddenSizes == [4, 3])
    #expect(file.card.progress.step == 14 && file.card.progress.epoch == 1 && file.card.progress.stepInEpoch == 3)
    #expect(file.card.progress.best == 4.946995382723601 && file.card.progress.finished == .maximumSteps)
    #expect(file.card.vocabulary.count == 143 && file.card.corpus.trainingTokens == 478)
    #expect(file.card.corpus.fingerprint.hasPrefix("3593cd74f95f"))
    #expect(
      file.card.results.samples.map(\.text) == [" doctor roast child swift hide", " doctor playful child swift hide"])
    #expect(file.card.results.test["loss"] == 4.952129710804332)
    #expect(file.card.provenance.oneDNN == "2.6.3" && file.card.provenance.ranks == 1)
    #expect(try file.readCurves().training.map(\.step) == [5, 10, 11, 14])

    let parameters = try Parameters(file.card.parameterLayout)
    try file.readParameters(into: parameters)
    var digest = Digest()
    digest.update(UnsafeRawBufferPointer(parameters.buffer.values))
    for slot in Optimizer.slotNames(.adam) {
      try file.readOptimizer(slot: slot, into: parameters.buffer, layout: parameters.layout)
      digest.update(UnsafeRawBufferPointer(parameters.buffer.values))
    }
    try file.readRowStates().withUnsafeBytes { digest.update($0) }
    #expect(digest.hex() == "ea7c5883dc37bd19164f6ce62fe3466aa1289bc788fac0833fc208047674148e")
  }

  @Test func curvesOfVersion1() throws {
    let curves = try Curves(path: "\(folder)/curves-v1.h5")
    #expect(curves.training.map(\.step) == [5, 10, 11, 14])
    #expect(curves.training.allSatisfy { $0["loss"] > 4.9 && $0["loss"] < 5 && $0.tokensPerSecond > 0 })
    #expect(curves.validation.map { $0["loss"] } == [4.946995382723601])
    #expect(curves.partial == PartialPoint())
  }

  @Test(arguments: ["checkpoint-v1.h5", "curves-v1.h5"])
  func h5dumpReadsThem(name: String) throws {
    let outcome = try Programs.run("h5dump", ["\(folder)/\(name)"], in: folder)
    #expect(outcome.status == 0, "h5dump of hdf5-tools is needed: \(outcome.error)")
    #expect(outcome.output.contains("\"tokensPerSecond\"") || outcome.output.contains("DATASET \"tokensPerSecond\""))
  }

  /// A key that is younger than a file has its default there; so later programs may add some.
  @Test func keysThatAFileDoesNotHaveAreDefaults() throws {
    struct Later: Codable, Equatable {
      var step = 0
      var color = "blue"
      var inner: Int?
    }
    let read: Later = try decode(Data(#"{"step": 7, "unknown": [1]}"#.utf8), over: Later())
    #expect(read == Later(step: 7))
    let whole: Later = try decode(Data(#"{"step": 7, "color": "red", "inner": 3}"#.utf8), over: Later())
    #expect(whole == Later(step: 7, color: "red", inner: 3))
    #expect(throws: (any Error).self) { let _: Later = try decode(Data("[]".utf8), over: Later()) }
    #expect(throws: (any Error).self) { let _: Later = try decode(Data("{".utf8), over: Later()) }
  }
}
