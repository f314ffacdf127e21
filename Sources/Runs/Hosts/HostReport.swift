import Checkpoints
import Corpus
import Files
import Foundation
import Glibc
import Training

/// What a host says of itself before ranks are started on it: `lockstepd check`.
public struct HostReport: Codable, Equatable, Sendable {
  /// What it has of a corpus.
  public enum CorpusState: Codable, Equatable, Sendable {
    case prepared(fingerprint: String)
    /// The text of which the first rank would make tokens.
    case text
    case missing(reason: String)
  }

  public var name: String
  /// The kernel's name for this boot: the same on hosts that are parts of one machine.
  public var machine: String
  public var network: MachineNetwork
  /// Version of the program, and SHA-256 of its file.
  public var program: String
  public var digest: String
  /// Versions of Open MPI: of the library, and of `mpirun` where that was asked for and is there.
  public var library: String
  public var mpirun: String?
  public var cores: MachineCores
  /// Bytes that are free, of memory and of `/dev/shm`.
  public var memory: Int
  public var sharedMemory: Int
  /// Of a run: its corpus, and the step of its newest checkpoint that is whole. nil where no run was named, or there is none.
  public var corpus: CorpusState?
  public var checkpoint: Int?

  public init(
    name: String, machine: String, network: MachineNetwork, program: String, digest: String, library: String,
    mpirun: String?, cores: MachineCores, memory: Int, sharedMemory: Int, corpus: CorpusState?, checkpoint: Int?
  ) {
    self.name = name
    self.machine = machine
    self.network = network
    self.program = program
    self.digest = digest
    self.library = library
    self.mpirun = mpirun
    self.cores = cores
    self.memory = memory
    self.sharedMemory = sharedMemory
    self.corpus = corpus
    self.checkpoint = checkpoint
  }

  /// Of this host and this process's program. `library` is what MPI says of itself; `mpirun`, a path, is asked for its
  /// version. Throws `FileError` where the program cannot read itself.
  public static func current(library: String, mpirun: String?, run configuration: RunConfiguration?) throws -> Self {
    HostReport(
      name: hostName, machine: machineID, network: .current, program: programVersion, digest: try programDigest(),
      library: openMPIVersion(library) ?? library, mpirun: mpirun.flatMap(versionOfMPIRun), cores: MachineCores(),
      memory: MachineMemory.available(), sharedMemory: freeBytes("/dev/shm"),
      corpus: configuration.map { corpusState($0.corpus) }, checkpoint: configuration.flatMap(newestCheckpoint))
  }

  public static var hostName: String { ProcessInfo.processInfo.hostName }

  /// The folder of the file that this process runs.
  public static var programFolder: String {
    FileSystem.parent(of: FileSystem.followingLinks("/proc/self/exe"))
  }

  /// SHA-256 of the file that this process runs.
  public static func programDigest(_ path: String = "/proc/self/exe") throws -> String {
    try MappedFile.withBytes(of: path) {
      var digest = Digest()
      digest.update($0)
      return digest.hex()
    }
  }

  /// The version that a text of Open MPI's begins with, as in `Open MPI v4.1.4, package: …` and `mpirun (Open MPI) 5.0.1`.
  public static func openMPIVersion(_ text: String) -> String? {
    text.firstMatch(of: #/Open MPI\)? v?(\d+\.\d+[0-9A-Za-z.]*)/#).map { String($0.1) }
  }

  /// What a program called mpirun says of its version; nil where it is no Open MPI or does not answer.
  public static func versionOfMPIRun(_ path: String) -> String? {
    CommandOutput.of([path, "--version"]).flatMap(openMPIVersion)
  }

  /// The kernel's name for this boot.
  public static var machineID: String {
    let bytes = FileManager.default.contents(atPath: "/proc/sys/kernel/random/boot_id") ?? Data()
    return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private static func freeBytes(_ path: String) -> Int {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return 0 }
    return Int(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
  }

  private static func corpusState(_ corpus: CorpusConfiguration) -> CorpusState {
    do {
      if let found = try CorpusPreparation.find(corpus) { return .prepared(fingerprint: found.manifest.fingerprint) }
    } catch {
      return .missing(reason: "\(error)")
    }
    guard CorpusPreparation.isMissing(corpus) else { return .text }
    let texts = [corpus.text, corpus.train, corpus.validation, corpus.test].flatMap(\.paths)
    let missing = corpus.prepared.isEmpty ? texts.first { !FileSystem.exists($0) } : corpus.prepared
    return .missing(reason: "no \(missing ?? "text") in \(FileManager.default.currentDirectoryPath)")
  }

  private static func newestCheckpoint(_ configuration: RunConfiguration) -> Int? {
    let store = CheckpointStore("\(configuration.output.directory)/\(configuration.name)")
    // What is damaged, or cannot be read here, is nothing to go on from.
    return (try? store.newest(damaged: { _, _ in }))?.card.progress.step
  }
}
