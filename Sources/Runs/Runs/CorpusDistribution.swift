import Corpus
import Files
import Foundation
import Glibc
import Hosts
import Training

/// Brings each machine the tokens that its ranks read, from one that has the corpus (`corpus.distribute`): the first rank
/// of each receives for all of its machine.
///
/// The machine that has the corpus broadcasts its contents, with a digest of each piece. The others check what they find against
/// that, under the path the corpus has there or in their cache, and say which pieces they lack; those are sent. The
/// first of the others gets all of it, so that it can stand in for the one that has it.
struct CorpusDistribution {
  let configuration: RunConfiguration
  let group: any RankGroup
  let machines: Machines
  let reporter: any Reporter
  let cancellation: CancellationToken

  /// What the first rank of a machine has found there.
  private struct CacheState: Codable {
    /// Where its ranks read tokens.
    var directory: String
    /// Whether only some of them may be there.
    var isCache = false
    /// The pieces it lacks.
    var missing: [Int] = []
    /// For people.
    var notes: [String] = []
  }

  private var isFirstHere: Bool { machines.firsts[group.rank] == group.rank }

  /// All ranks take part. Throws `CorpusError` and `FileError`, with the host, and `StopRequest`, on every rank.
  func open() throws -> PreparedCorpus {
    let clock = ContinuousClock()
    let source = try findSource()
    let own = try alone(source) {
      let corpus = try Self.openHere(configuration.corpus, reporter, cancellation)
      return (corpus: corpus, contents: try CorpusContents(of: corpus, meanwhile: cancellation.check))
    }
    let begin = clock.now
    let told = try group.allGather(own.map { try $0.contents.encoded() } ?? [])[source]
    let contents = try group.together { try own?.contents ?? CorpusContents(encoded: told) }
    let path = String(decoding: try group.allGather(Array((own?.corpus.directory ?? "").utf8))[source], as: UTF8.self)

    var cache: CorpusCache?
    let finding = try asleep {
      guard isFirstHere else { return nil as CacheState? }
      return group.rank == source ? CacheState(directory: path) : try look(path, contents, source, &cache)
    }
    let findings = try share(finding)
    if group.isFirst {
      for note in findings.values.flatMap(\.notes) { reporter.report(.warning(note)) }
    }
    if findings.values.contains(where: { !$0.missing.isEmpty }) {
      try move(findings, from: source, path, contents, cache)
    }
    report(findings, source, contents, seconds: (clock.now - begin) / .seconds(1))

    guard let here = findings[machines.firsts[group.rank]] else {
      preconditionFailure("every machine has a first rank")
    }
    let finished = try asleep { try cache?.finish() }
    return try group.together {
      if let corpus = own?.corpus ?? finished { return corpus }
      return here.isCache
        ? try CorpusCache.open(here.directory, contents) : try PreparedCorpus(directory: here.directory)
    }
  }

  /// The corpus on this host: made of its text if need be, or where it has neither text nor tokens, all of it sent here
  /// once. Throws what `CorpusPreparation.open` throws, and `StopRequest`.
  static func openHere(
    _ corpus: CorpusConfiguration, _ reporter: any Reporter, _ cancellation: CancellationToken
  ) throws -> PreparedCorpus {
    if corpus.distribute, CorpusPreparation.isMissing(corpus),
      let sent = try CorpusCache.whole(for: corpus, meanwhile: cancellation.check)
    {
      return sent
    }
    return try CorpusPreparation.open(corpus) { progress in
      try cancellation.check()
      reporter.report(.preparing(phase: progress.phase.rawValue, done: progress.done, total: progress.total))
    } warn: {
      reporter.report(.warning($0))
    }
  }

  /// The first of the machines' first ranks where there is something to open.
  private func findSource() throws -> Int {
    let hasIt = try asleep {
      guard isFirstHere else { return false }
      return try !CorpusPreparation.isMissing(configuration.corpus)
        || CorpusPreparation.find(configuration.corpus) != nil
    }
    return try group.allGather([hasIt ? 1 : 0]).firstIndex(of: [1]) ?? 0
  }

  /// What is on this machine of the tokens that its ranks read.
  private func look(
    _ path: String, _ contents: CorpusContents, _ source: Int, _ cache: inout CorpusCache?
  ) throws -> CacheState {
    let needed = try neededHere(contents, source)
    var notes: [String] = []
    if let corpus = try? PreparedCorpus(directory: path), corpus.manifest.fingerprint == contents.manifest.fingerprint {
      do {
        try corpus.verify(needed, meanwhile: cancellation.check)
        return CacheState(directory: path)
      } catch let stop as StopRequest {
        throw stop
      } catch {
        notes.append("\(group.host): \(error): tokens are sent")
      }
    }
    let directory = try CorpusCache.directory(for: configuration.corpus)
    let found = try CorpusCache(directory, contents, needed: needed, meanwhile: cancellation.check)
    cache = found
    if let problem = found.problem { notes.append("\(group.host): \(problem): tokens are sent again") }
    return CacheState(directory: directory, isCache: true, missing: found.missing, notes: notes)
  }

  /// The tokens that the ranks of this machine read; nil for all, on the first machine that is not the source.
  private func neededHere(_ contents: CorpusContents, _ source: Int) throws -> PartMap<[Range<Int>]>? {
    if machines.all.first(where: { $0 != source }) == group.rank { return nil }
    let tokens = contents.manifest.parts.map { $1.tokens }
    let reads = try machines.peers(of: group.rank).map {
      try configuration.tokensRead(by: $0, of: group.count, in: tokens)
    }
    return tokens.map { part, _ in reads.flatMap { $0[part] } }
  }

  // MARK: - Sending

  private func move(
    _ findings: [Int: CacheState], from source: Int, _ path: String, _ contents: CorpusContents, _ cache: CorpusCache?
  ) throws {
    let link = try group.makeLink()
    let messages = findings.mapValues { contents.messages(for: $0.missing) }.filter { !$0.value.isEmpty }
    try asleep {
      let bytes = messages.values.joined().reduce(0) { $0 + contents.bytes(of: $1) }
      if group.rank == source {
        var progress = Progress(reporter, total: bytes)
        try send(messages, link) { message in
          progress.add(contents.bytes(of: message))
          return try contents.message(message, from: path)
        }
      } else if let own = messages[group.rank], let cache {
        var progress = Progress(reporter, total: own.reduce(0) { $0 + contents.bytes(of: $1) })
        try receive(own, from: source, link) {
          progress.add($0.count)
          try cache.write($0, $1)
        }
      }
    }
  }

  /// Two messages are on their way to each rank, so that it always has one; an empty one says that no more will come. A rank
  /// that fails says so, and gets no more.
  private func send(
    _ messages: [Int: [Range<Int>]], _ link: any RankLink, _ read: (Range<Int>) throws -> [UInt8]
  ) throws {
    var left = messages.mapValues { $0[...] }
    var ended: Set<Int> = []
    var failure: (any Error)?
    while true {
      do { try cancellation.check() } catch { failure = failure ?? error }
      var isUnderWay = false
      for rank in messages.keys.sorted() {
        if try link.receive(from: rank) != nil { left[rank] = [] }
        while try !ended.contains(rank) && link.sending(to: rank) < 2 {
          guard failure == nil, let next = left[rank]?.popFirst() else {
            try link.send([], to: rank)
            ended.insert(rank)
            break
          }
          do {
            try link.send(read(next), to: rank)
          } catch {
            failure = error
          }
        }
        if try !ended.contains(rank) || link.sending(to: rank) > 0 { isUnderWay = true }
      }
      if !isUnderWay { break }
      usleep(Self.pollMicroseconds)
    }
    if let failure { throw failure }
  }

  private func receive(
    _ messages: [Range<Int>], from source: Int, _ link: any RankLink, _ write: ([UInt8], Range<Int>) throws -> Void
  ) throws {
    var left = messages[...]
    var failure: (any Error)?
    while true {
      cancellation.look()
      guard let bytes = try link.receive(from: source) else {
        usleep(Self.pollMicroseconds)
        continue
      }
      if bytes.isEmpty { break }
      guard failure == nil, let message = left.popFirst() else { continue }
      do {
        try write(bytes, message)
      } catch {
        failure = error
        try link.send([1], to: source)
      }
    }
    while try link.sending(to: source) > 0 { usleep(Self.pollMicroseconds) }
    if let failure { throw failure }
    guard left.isEmpty else {
      throw CorpusError(
        "the corpus", "expected \(counted(messages.count, "message")) of tokens, found \(messages.count - left.count)",
        remedy: "see what rank \(source) says, which sends them")
    }
  }

  static let pollMicroseconds: UInt32 = 200

  /// Tells how far it is, if it takes long.
  private struct Progress {
    private let reporter: any Reporter
    private let total: Int
    private var done = 0
    private let begun = ContinuousClock.now

    init(_ reporter: any Reporter, total: Int) {
      self.reporter = reporter
      self.total = total
    }

    mutating func add(_ bytes: Int) {
      done += bytes
      if ContinuousClock.now - begun > .seconds(2) {
        reporter.report(.preparing(phase: "sending", done: done, total: total))
      }
    }
  }

  // MARK: - Together

  /// Runs `body`, which makes no call on the group, on every rank; those that are done earlier wait asleep. What fails
  /// anywhere fails everywhere.
  private func asleep<Value>(_ body: () throws -> Value) throws -> Value { try cancellation.together(body) }

  private func alone<Value>(_ rank: Int, _ body: () throws -> Value) throws -> Value? {
    try asleep { group.rank == rank ? try body() : nil }
  }

  /// What each machine's first rank says, on every rank.
  private func share(_ finding: CacheState?) throws -> [Int: CacheState] {
    let said = try group.allGather(finding.map { try Array(JSONEncoder().encode($0)) } ?? [])
    var findings: [Int: CacheState] = [:]
    for rank in machines.all { findings[rank] = try JSONDecoder().decode(CacheState.self, from: Data(said[rank])) }
    return findings
  }

  private func report(_ findings: [Int: CacheState], _ source: Int, _ contents: CorpusContents, seconds: Double) {
    let hosts = machines.all.filter { $0 != source }.compactMap { rank in
      findings[rank].map { finding in
        RunEvent.DistributionSummary.Host(
          host: machines.hosts[rank], directory: finding.directory,
          bytes: contents.messages(for: finding.missing).reduce(0) { $0 + contents.bytes(of: $1) })
      }
    }
    reporter.report(
      .distributed(
        RunEvent.DistributionSummary(
          source: machines.hosts[source], hosts: hosts, bytes: hosts.reduce(0) { $0 + $1.bytes },
          corpusBytes: contents.bytes, seconds: seconds)))
  }
}
