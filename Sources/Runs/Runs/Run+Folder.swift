import Checkpoints
import Files
import Foundation
import Glibc
import Hosts
import Replication
import Training

/// Where a run's checkpoints are, beside the first rank's own folder.
struct RunFolder {
  /// The locks of the folders that this rank uses.
  fileprivate(set) var locks: [FileLock] = []
  /// The rank that keeps copies.
  fileprivate(set) var replicaHost: Int?
  /// On the first rank.
  fileprivate(set) var copier: CheckpointCopier?
  /// On the one that keeps copies.
  fileprivate(set) var receiver: FileReceiver?
}

/// The run's folder, before the first step.
extension Run {
  var store: CheckpointStore { CheckpointStore("\(configuration.output.directory)/\(configuration.name)") }

  /// Takes the folder. Where the machines do not share it, the first rank gets the newest checkpoint that any of them has,
  /// and copies of what is saved will go to another machine. All ranks take part.
  func takeFolder(_ machines: Machines, _ cancellation: CancellationToken) throws -> RunFolder {
    var folder = RunFolder()
    if let lock = try group.onFirst({ try store.take() }) { folder.locks.append(lock) }
    guard machines.all.count > 1 else { return folder }
    let states = try survey(machines)
    if states.values.allSatisfy(\.isShared) { return folder }
    let plan = try plan(states, machines)
    if group.isFirst {
      for (rank, state) in states.sorted(by: { $0.key < $1.key }) where rank > 0 {
        for note in state.notes { reporter.report(.warning("\(machines.hosts[rank]): \(note)")) }
      }
      for note in plan.notes { reporter.report(.warning(note)) }
    }
    guard plan.source != nil || plan.replicaHost != nil else { return folder }
    let link = try group.makeLink()
    if let source = plan.source { try fetch(from: source, states, link, machines, cancellation) }
    if let replicaHost = plan.replicaHost { try prepareReplicaHost(replicaHost, states, link, machines, &folder) }
    return folder
  }

  /// What each machine has, by its first rank.
  private func survey(_ machines: Machines) throws -> [Int: FolderState] {
    let own = try group.onFirst { try store.leaveSign() }
    defer { if let own { try? FileSystem.remove(own) } }
    let sign = String(decoding: try group.broadcast(Array((own ?? "").utf8)), as: UTF8.self)
    let isFirstHere = machines.firsts[group.rank] == group.rank
    let looked = Result {
      guard isFirstHere else { return [UInt8]() }
      var state = FolderState()
      if group.isFirst || !FileSystem.exists(sign) {
        state = try FolderState(store)
      } else {
        state.isShared = true
      }
      return Array(try JSONEncoder().encode(state))
    }
    try group.waitForAll()
    let said = try group.allGather(group.together { try looked.get() })
    var states: [Int: FolderState] = [:]
    for rank in machines.all { states[rank] = try JSONDecoder().decode(FolderState.self, from: Data(said[rank])) }
    return states
  }

  private func plan(_ states: [Int: FolderState], _ machines: Machines) throws -> ResumePlan {
    try group.together {
      try ResumePlan(
        own: states[0] ?? FolderState(), host: machines.hosts[0],
        others: machines.all.dropFirst().map {
          ResumePlan.Other(rank: $0, host: machines.hosts[$0], state: states[$0] ?? FolderState())
        }, directory: store.directory, policy: resume, copies: configuration.output.copyCheckpoints)
    }
  }

  /// Brings the newest checkpoint of another machine, and the best, to the first rank.
  private func fetch(
    from source: Int, _ states: [Int: FolderState], _ link: any RankLink, _ machines: Machines,
    _ cancellation: CancellationToken
  ) throws {
    guard let newest = states[source]?.newest else { preconditionFailure("the plan names one that has it") }
    let steps = ([newest.bestStep].compactMap { $0 } + [newest.step]).filter { step in
      guard let digest = states[source]?.digests[step] else { return false }
      return states[0]?.digests[step] != digest || step == newest.step
    }
    let outcome = Result {
      if group.rank == source {
        let sender = FileSender(link, to: 0)
        defer { try? sender.sayOver() }
        for step in Set(steps).sorted() {
          try sender.start(store.path(step: step))
          while try sender.move() == nil {
            do { try cancellation.check() } catch {
              try sender.abandon(because: "the run is to stop")
              throw error
            }
            usleep(CorpusDistribution.pollMicroseconds)
          }
        }
      } else if group.isFirst {
        // Without it the run cannot go on: however slow the disk is, it is waited for.
        let receiver = FileReceiver(link, from: source, into: store, patience: .infinity)
        try receiver.moveUntilOver(cancellation.look)
        if let failure = receiver.failure { throw RunError.failed(failure) }
      }
    }
    try cancellation.together { try outcome.get() }
    reporter.report(.fetched(host: machines.hosts[source], step: newest.step, path: store.path(step: newest.step)))
  }

  /// A machine whose folder another process uses keeps no copies, and the run resumes without.
  private func prepareReplicaHost(
    _ replicaHost: Int, _ states: [Int: FolderState], _ link: any RankLink, _ machines: Machines,
    _ folder: inout RunFolder
  ) throws {
    var problem = ""
    if group.rank == replicaHost {
      do {
        folder.locks.append(try store.take())
      } catch {
        problem = "\(error)"
      }
    }
    try group.waitForAll()
    let said = String(decoding: try group.allGather(Array(problem.utf8))[replicaHost], as: UTF8.self)
    guard said.isEmpty else {
      reporter.report(.warning("checkpoints are not copied to \(machines.hosts[replicaHost]): \(said)"))
      return
    }
    folder.replicaHost = replicaHost
    if group.rank == replicaHost { folder.receiver = FileReceiver(link, from: 0, into: store) }
    if group.isFirst {
      folder.copier = CheckpointCopier(
        store, FileSender(link, to: replicaHost), host: machines.hosts[replicaHost],
        held: states[replicaHost]?.digests ?? [:])
    }
  }
}
