import Files
import Foundation
import TestSupport
import Testing

/// A run on a small file system that is truly full: it says so, keeps what it has, and ends as if nothing had been when
/// there is room again.
@Suite struct FullDiskTests {
  /// Mounts need a name space of their own: that of root, or one in which this user is root.
  private static let unshare = ["unshare", "--mount"] + (geteuid() == 0 ? [] : ["--map-root-user"])

  @Test func aFullFileSystemLosesNothing() throws {
    let folder = try TemporaryFolder()
    let configuration = folder.file(try folder.writeSmallConfiguration())
    let settings = set(
      "output.keep=0", "coordinator.checkpoint=[20 steps]", "output.reportSeconds=0",
      "corpus.cache=\(folder.file("corpora"))")
    let whole = try Programs.lockstep("train", configuration, "--set", "name=whole", in: folder.path)
    #expect(whole.status == 0, "\(whole.error)")

    // Room for some of the checkpoints; then for all. What was saved is taken out of the name space between the two.
    try FileSystem.createDirectory(folder.file("mount"))
    try FileSystem.createDirectory(folder.file("kept"))
    try folder.write(
      "full.sh",
      """
      set -eu
      mount -t tmpfs -o size=1m tmpfs mount
      status=0
      "$@" || status=$?
      echo "status $status"
      cp -r mount/small kept/full
      mount -o remount,size=100m mount
      exec "$@"
      """)
    let outcome = try Programs.run(
      "env",
      Self.unshare + ["sh", "full.sh", "\(Programs.folder)/lockstep", "train", configuration] + settings
        + set("output.directory=mount"), in: folder.path, environment: ["OMP_NUM_THREADS": "1"])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.contains("could not be saved") && outcome.output.contains("No space left on device"))
    #expect(outcome.output.contains("training continues"))
    #expect(
      outcome.output.contains("status 1") && outcome.error.contains("No space left on device"), "\(outcome.error)")
    #expect(outcome.output.contains("complete) from mount/small/step-"), "\(outcome.output)")

    let kept = try FileSystem.list(folder.file("kept/full")).filter { $0.hasPrefix("step-") }
    #expect(kept.count > 2 && kept.allSatisfy { $0.hasSuffix(".h5") }, "\(kept)")
    for name in kept {
      let evaluation = try Programs.lockstep("generate", "kept/full/\(name)", "--length", "3", in: folder.path)
      #expect(evaluation.status == 0, "\(name): \(evaluation.error)")
    }
    func end(_ outcome: Outcome) -> String? { outcome.lines.last { $0.hasPrefix("validation perplexity") } }
    #expect(end(whole) != nil && end(outcome) == end(whole))
  }

  /// A limit on the size of files (`ulimit -f`) is met as a full disk is: by checkpoints, which grow with the curves, and
  /// by the corpus.
  @Test func aLimitOnFileSizesLosesNothing() throws {
    let folder = try TemporaryFolder()
    let configuration = folder.file(try folder.writeSmallConfiguration())
    let settings = set("output.keep=0", "coordinator.checkpoint=[20 steps]", "output.reportSeconds=0")
    let whole = try Programs.run(
      "\(Programs.folder)/lockstep", ["train", configuration] + settings + set("name=whole"), in: folder.path,
      environment: ["OMP_NUM_THREADS": "1"])
    #expect(whole.status == 0, "\(whole.error)")
    let sizes = try FileSystem.list(folder.file("checkpoints/whole")).filter { $0.hasPrefix("step-") }.map {
      try FileSystem.status(folder.file("checkpoints/whole/\($0)")).size
    }
    // In blocks of 512 bytes, between the first and the last.
    let blocks = (sizes[0] + sizes[sizes.count - 1]) / 2 / 512
    func limited(_ settings: [String], blocks: Int) throws -> Outcome {
      try Programs.run(
        "sh",
        ["-c", "ulimit -f \(blocks); exec \"$@\"", "sh", "\(Programs.folder)/lockstep", "train", configuration]
          + settings,
        in: folder.path, environment: ["OMP_NUM_THREADS": "1"])
    }
    let outcome = try limited(settings, blocks: blocks)
    #expect(outcome.output.contains("training continues"), "\(outcome.output)")
    #expect(
      outcome.status == 1 && outcome.error.contains("File too large") && outcome.error.contains("ulimit -f"),
      "\(outcome.status): \(outcome.error)")
    let left = try FileSystem.list(folder.file("checkpoints/small"))
    #expect(left.contains("step-00000000.h5") && !left.contains { $0.contains("partial") }, "\(left)")

    let rest = try Programs.run(
      "\(Programs.folder)/lockstep", ["train", configuration] + settings, in: folder.path,
      environment: ["OMP_NUM_THREADS": "1"])
    #expect(rest.status == 0, "\(rest.error)")
    #expect(try folder.numbers(of: "small") == folder.numbers(of: "whole"))

    // Where tokens have no room, nothing is left of them.
    let text = try limited(set("name=other", "corpus.sampleLines=3000"), blocks: 20)
    #expect(text.status == 1 && text.error.contains("ulimit -f"), "\(text.status): \(text.error)")
    #expect(!(FileManager.default.subpaths(atPath: folder.path) ?? []).contains { $0.contains("partial") })
  }
}
