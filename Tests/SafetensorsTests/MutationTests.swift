import Checkpoints
import Corpus
import Files
import Foundation
import Kernels
import TestSupport
import Testing
import Training

@testable import Safetensors

/// Damaged files: each is read or refused, and none takes the process down or its memory.
///
/// More of them, from another seed: `LOCKSTEP_MUTATIONS=50000 LOCKSTEP_SEED=7 launch/test --filter SafetensorsTests`.
@Suite struct MutationTests {
  /// A file that is whole, in its parts.
  private struct Original {
    let bytes: [UInt8]
    let tensors: [RawTensor]
    let metadata: [String: String]?

    /// In single precision; without our metadata if it is `foreign`.
    init(_ cell: Cell, tied: Bool, foreign: Bool) throws {
      let folder = try TemporaryFolder()
      let path = folder.file("a.safetensors")
      try randomModel(cell, tied: tied).save(safetensors: path, precision: .single)
      tensors = try RawTensor.all(in: path)
      metadata = foreign ? nil : try SafetensorsFile(path).metadata
      bytes = try fileBytes(tensors, metadata: metadata)
    }

    /// Damaged anywhere, or in the header, whose length stays right, or in one text of the metadata.
    func damaged(_ kind: Int, _ mutator: inout Mutator) throws -> [UInt8] {
      if kind == 0 { return mutator.mutate(bytes) }
      if kind == 2, var metadata {
        let key = metadata.keys.sorted()[Int.random(in: 0..<metadata.count, using: &mutator.random)]
        metadata[key] = String(decoding: mutator.mutate(Array((metadata[key] ?? "").utf8)), as: UTF8.self)
        return try fileBytes(tensors, metadata: metadata)
      }
      let data = tensors.reduce(0) { $0 + $1.bytes.count }
      let header = mutator.mutate(Array(bytes[8..<bytes.count - data]))
      return littleEndian(UInt64(header.count)) + header + bytes.suffix(data)
    }
  }

  @Test func damagedFilesAreReadOrRefused() throws {
    let folder = try TemporaryFolder()
    let vocabulary = try Vocabulary(kind: .words, entries: words)
    func read(_ bytes: [UInt8]) throws -> TrainedModel {
      try TrainedModel(safetensors: folder.write("mutated.safetensors", bytes), vocabulary: vocabulary)
    }
    let originals = [
      try Original(.lstm, tied: false, foreign: false), try Original(.lstm, tied: true, foreign: true),
      try Original(.gru, tied: true, foreign: false), try Original(.gru, tied: false, foreign: true),
    ]
    for original in originals { #expect(throws: Never.self) { try read(original.bytes) } }

    var outcomes: [String: Int] = [:]
    let before = try peakMemory()
    try forEachMutation(count: 2000) { number, mutator in
      let bytes = try originals[number % originals.count].damaged(number / originals.count % 3, &mutator)
      let outcome: String
      do {
        let model = try read(bytes)
        #expect(!model.parameters.buffer.values.contains { !$0.isFinite })
        outcome = "read"
      } catch {
        outcome = "\(type(of: error))"
        #expect(
          error is SafetensorsError || error is CheckpointError || error is CorpusError || error is ConfigurationError
            || error is KernelError || error is FileError, "mutation \(number): \(error)")
      }
      outcomes[outcome, default: 0] += 1
    }
    let growth = try peakMemory() - before
    let tally = outcomes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    print("mutated safetensors files: \(tally); \(growth >> 20) MB more memory")
    if outcomes.values.reduce(0, +) >= 1000 {  // few need not be of all kinds
      for outcome in ["read", "SafetensorsError", "CheckpointError", "CorpusError", "ConfigurationError"] {
        #expect(outcomes[outcome] != nil, "\(outcome)")
      }
    }
    // The files are small; other tests run meanwhile.
    #expect(growth < 500_000_000)
  }

  /// The most memory that this process has had, in bytes.
  private func peakMemory() throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    return try #require(Int(line.split(whereSeparator: \.isWhitespace)[1])) * 1024
  }
}
