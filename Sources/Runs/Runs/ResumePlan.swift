import Checkpoints
import Files
import HDF5Files
import Training

/// What a machine has of a run's folder.
struct FolderState: Codable, Equatable {
  /// Whether it is the first rank's own folder that is seen there.
  var isShared = false
  /// Whether there are checkpoints, be they damaged.
  var hasCheckpoints = false
  /// The newest that is whole.
  var newest: CheckpointSummary?
  /// Digests, by step, as their headers have them, of all but those found damaged.
  var digests: [Int: String] = [:]
  /// For people.
  var notes: [String] = []

  init() {}

  /// Reads the newest checkpoint, to verify it. Throws `FileError`, and `HDF5Error` for one by a newer program.
  init(_ store: CheckpointStore) throws {
    let steps = try store.steps()
    hasCheckpoints = !steps.isEmpty
    var damaged: Set<String> = []
    newest = try store.newestSummary { path, error in
      damaged.insert(path)
      notes.append("passed over a checkpoint that cannot be read: \(error)")
    }
    // The header of a damaged one may be whole: it is no copy all the same, and is to be sent again.
    for step in steps where !damaged.contains(store.path(step: step)) {
      // One that has no header of ours is no copy of anything.
      do { digests[step] = try CheckpointFile.digest(of: store.path(step: step)) } catch is HDF5Error {}
    }
  }
}

/// The plan for the run's folder if its machines do not share it: the machine that has the checkpoint to resume from, and the replica host.
/// who keeps copies.
struct ResumePlan: Codable, Equatable {
  /// The rank from which the first gets the newest checkpoint; nil where it has that itself, or nobody has any.
  var source: Int?
  /// The rank that keeps copies; nil where nobody can.
  var replicaHost: Int?
  /// For people.
  var notes: [String] = []

  /// A machine other than the first rank's, by its first rank.
  struct Other {
    let rank: Int
    let host: String
    let state: FolderState
  }

  /// Throws `RunError` where going on would be wrong: `policy` forbids it, or the machines hold different runs and the
  /// first rank's is the older.
  init(
    own: FolderState, host: String, others: [Other], directory: String, policy: ResumePolicy, copies: Bool
  ) throws {
    let others = others.filter { !$0.state.isShared }
    if policy == .never, let other = others.first(where: { $0.state.hasCheckpoints }) {
      throw RunError.folderIsNotEmpty("\(directory) on \(other.host)")
    }
    let holders = others.compactMap { other in other.state.newest.map { (other: other, newest: $0) } }
    // A run begun later than others of its name is the one that is meant.
    let origin = own.newest?.origin ?? holders.map(\.newest.origin).max { Self.begun($0) < Self.begun($1) }
    for (other, newest) in holders where newest.origin != origin {
      guard let origin, Self.begun(newest.origin) < Self.begun(origin) else {
        throw RunError.otherRun(directory: directory, host: host, other: other.host, step: newest.step)
      }
      notes.append(
        "\(other.host) holds step \(newest.step) of an older run of this name in \(directory): it is left alone, and no "
          + "copies are kept there; remove that folder, or give the run another name")
    }
    let newest = holders.filter { $0.newest.origin == origin }.max { $0.newest.step < $1.newest.step }
    if let newest, newest.newest.step > own.newest?.step ?? -1 {
      source = newest.other.rank
      let found = own.newest.map { "step \($0.step)" } ?? "no checkpoint that can be read"
      notes.append(
        "\(newest.other.host) holds step \(newest.newest.step) of this run, \(host) \(found): resuming from that copy")
    }
    guard copies else { return }
    replicaHost = others.first { $0.state.newest == nil || $0.state.newest?.origin == origin }?.rank
    if replicaHost == nil, !others.isEmpty {
      notes.append("checkpoints are not copied to another host: none has room for those of this run in \(directory)")
    }
  }

  /// Seconds since 1970; 0 where it is not known.
  private static func begun(_ origin: String) -> Int { Int(origin.prefix { $0 != "-" }) ?? 0 }
}
