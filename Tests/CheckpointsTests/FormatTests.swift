@testable import Checkpoints
import Files
import Foundation
import Model
import TestSupport
import Testing
import Training

/// Files of every version of the formats stay readable: Tests/Goldens/make_checkpoint.sh made one of each.
@Suite struct FormatTests {
  private let folder = "\(Programs.repository)/Tests/Goldens"

  @Test func checkpointsOfVersion1() throws {
    let file = try CheckpointFile("\(folder)/checkpoint-v1.h5")
    #expect(file.configuration.name == "golden" && file.configuration.seed == 42)
    #expect(file.configuration.model.hiddenSizes == [4, 3])
    #expect(file.progress.step == 14 && file.progress.epoch == 1 && file.progress.stepInEpoch == 3)
    #expect(file.progress.bestLoss == 4.946995382723601 && file.progress.finished == .maximumSteps)
    #expect(file.vocabulary.count == 143 && file.corpus.trainingTokens == 478)
    #expect(file.corpus.fingerprint.hasPrefix("3593cd74f95f"))
    #expect(file.results.samples.map(\.text) == [" doctor roast child swift hide", " doctor playful child swift hide"])
    #expect(file.results.testLoss == 4.952129710804332)
    #expect(file.provenance.oneDNN == "2.6.3" && file.provenance.ranks == 1)
    #expect(try file.readCurves().training.map(\.step) == [5, 10, 11, 14])

    let parameters = try Parameters(file.parameterLayout)
    try file.readParameters(into: parameters)
    var digest = Digest()
    digest.update(UnsafeRawBufferPointer(parameters.buffer.values))
    for slot in Optimizer.slotNames(.adam) {
      try file.readOptimizer(slot: slot, into: parameters.buffer, layout: parameters.layout)
      digest.update(UnsafeRawBufferPointer(parameters.buffer.values))
    }
    try file.readLaneStates().withUnsafeBytes { digest.update($0) }
    #expect(digest.hex() == "ea7c5883dc37bd19164f6ce62fe3466aa1289bc788fac0833fc208047674148e")
  }

  @Test func curvesOfVersion1() throws {
    let curves = try Curves(path: "\(folder)/curves-v1.h5")
    #expect(curves.training.map(\.step) == [5, 10, 11, 14])
    #expect(curves.training.allSatisfy { $0.loss > 4.9 && $0.loss < 5 && $0.tokensPerSecond > 0 })
    #expect(curves.validation.map(\.loss) == [4.946995382723601])
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
