import Files
import Hosts
import Runs

/// A host that has answered.
public struct CheckedHost: Equatable, Sendable {
  public var host: LaunchHost
  public var report: HostReport

  public init(_ host: LaunchHost, _ report: HostReport) {
    self.host = host
    self.report = report
  }
}

/// A host and the ranks it is to have.
public struct RankDeal: Equatable, Sendable {
  public var host: CheckedHost
  public var ranks: Int
}

/// Checks the reports of hosts, and assigns ranks to them.
public struct HostPlanner {
  public var launcher: MPILauncher
  /// lockstepd, on every host, and the SHA-256 of this machine's; nil where this machine has none.
  public var program: String
  public var digest: String?
  /// Of each rank.
  public var threads: Int
  /// nil: as many as there is room for.
  public var ranks: Int?
  /// Whether hosts are sent what they need of the corpus.
  public var distributesCorpus: Bool
  /// Whether the order of hosts may change: a queue stays where it is.
  public var keepsOrder: Bool

  public init(
    launcher: MPILauncher, program: String, digest: String?, threads: Int, ranks: Int?, distributesCorpus: Bool,
    keepsOrder: Bool
  ) {
    self.launcher = launcher
    self.program = program
    self.digest = digest
    self.threads = threads
    self.ranks = ranks
    self.distributesCorpus = distributesCorpus
    self.keepsOrder = keepsOrder
  }

  // MARK: - Order

  /// The host of rank 0 first: one with the whole corpus, and of those one with the newest checkpoint; then the others in
  /// their order.
  public func order(_ hosts: [CheckedHost]) -> [CheckedHost] {
    guard !keepsOrder, let best = hosts.indices.max(by: { isBetter($1, than: $0, hosts) }) else { return hosts }
    var rest = hosts
    let first = rest.remove(at: best)
    return [first] + rest
  }

  private func isBetter(_ index: Int, than other: Int, _ hosts: [CheckedHost]) -> Bool {
    let keys = [index, other].map { number -> [Int] in
      let report = hosts[number].report
      let (hasCorpus, isPrepared) =
        switch report.corpus {
        case .prepared: (1, 1)
        case .text: (1, 0)
        case .missing, nil: (0, 0)
        }
      return [hasCorpus, report.checkpoint ?? -1, isPrepared, -number]
    }
    return keys[1].lexicographicallyPrecedes(keys[0])
  }

  // MARK: - Faults

  /// What is wrong with hosts in their order, rank 0's first.
  public func faults(_ hosts: [CheckedHost]) -> [HostFault] {
    let digest = digest ?? hosts.first?.report.digest
    return hosts.flatMap { programFaults($0, digest) + coreFaults($0) } + corpusFaults(hosts)
  }

  private func programFaults(_ checked: CheckedHost, _ digest: String?) -> [HostFault] {
    let (name, report) = (checked.host.name, checked.report)
    var faults: [HostFault] = []
    if report.program != programVersion {
      faults.append(
        HostFault(
          name, expected: "lockstepd \(programVersion) at \(program)", found: report.program,
          remedy: "copy the program there from this host"))
    } else if let digest, report.digest != digest {
      faults.append(
        HostFault(
          name, expected: "the same program at \(program) as elsewhere (SHA-256 \(digest.prefix(12))…)",
          found: "another build of it (\(report.digest.prefix(12))…)", remedy: "copy the program there from this host"))
    }
    guard launcher.kind == .mpirun else { return faults }
    if report.library != launcher.version {
      faults.append(
        HostFault(
          name, expected: "the library of Open MPI \(launcher.version), like \(launcher.path)",
          found: report.library, remedy: "install that version there, or put this one's mpirun first on PATH here"))
    }
    if report.mpirun != launcher.version {
      faults.append(
        HostFault(
          name, expected: "Open MPI \(launcher.version) at \(launcher.path), as here",
          found: report.mpirun ?? "none", remedy: "install that version there at the same path"))
    }
    return faults
  }

  private func coreFaults(_ checked: CheckedHost) -> [HostFault] {
    let (host, cores) = (checked.host, checked.report.cores.count)
    if let slots = host.slots, slots > cores {
      return [
        HostFault(
          host.name, expected: "a core for each of its \(slots) slots (\(host.place))", found: "\(cores)",
          remedy: "give it slots=\(cores); hyperthreads do not count, nor do cores it may not use")
      ]
    }
    guard cores < threads else { return [] }
    return [
      HostFault(
        host.name, expected: "cores for the \(counted(threads, "thread")) of a rank", found: "\(cores)",
        remedy: "leave it out, or give ranks fewer with --threads")
    ]
  }

  private func corpusFaults(_ hosts: [CheckedHost]) -> [HostFault] {
    guard let first = hosts.first, let corpus = first.report.corpus else { return [] }
    let name = first.host.name
    if case .missing(let reason) = corpus {
      return [
        HostFault(
          name, expected: "the corpus", found: "none (\(reason))",
          remedy: "correct the path in the configuration, or copy it there")
      ]
    }
    if distributesCorpus { return [] }
    let remedy = "let hosts share the folder or copy it there, or set corpus.distribute: true"
    return hosts.dropFirst().compactMap { checked in
      func fault(_ expected: String, _ found: String) -> HostFault {
        HostFault(checked.host.name, expected: expected, found: found, remedy: remedy)
      }
      switch (corpus, checked.report.corpus) {
      case (.prepared(let own), .prepared(let other)) where own != other:
        return fault(
          "the corpus of \(name) (fingerprint \(own.prefix(12))…)", "another one (\(other.prefix(12))…)")
      case (.prepared, .text): return fault("the tokens that \(name) has prepared", "only text")
      case (_, .missing(let reason)): return fault("the corpus of \(name)", "none (\(reason))")
      default: return nil
      }
    }
  }

  // MARK: - Ranks

  /// So many ranks a host may have.
  private func room(_ checked: CheckedHost) -> Int {
    let most = checked.report.cores.count / threads
    return min(checked.host.slots ?? most, most)
  }

  /// How many ranks there are to be, and there is room for.
  public func count(_ hosts: [CheckedHost]) -> (wanted: Int, room: Int) {
    let room = hosts.reduce(0) { $0 + self.room($1) }
    return (ranks ?? room, room)
  }

  /// Deals ranks to hosts, filling one after another. Those without any are left out.
  public func deal(_ count: Int, to hosts: [CheckedHost]) -> [RankDeal] {
    var left = count
    return hosts.compactMap { host in
      let ranks = min(left, room(host))
      left -= ranks
      return ranks > 0 ? RankDeal(host: host, ranks: ranks) : nil
    }
  }
}
