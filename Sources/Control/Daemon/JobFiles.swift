import ControlAPI
import Files
import Foundation
import Glibc

/// The queue's folder: a JSON file for each job (`00000001.json`), written whole or not at all.
///
/// `last-id` has the highest number ever given to a job. The files alone would not do: those of old jobs are removed,
/// people remove others, and a number that a script has kept must never come to mean another job.
struct JobFiles: Sendable {
  /// Numbers that are exact wherever JSON is read.
  static let mostJobs = 1 << 53
  /// Bytes of a job's file, most of which are its configuration's.
  static let largestFile = 8 << 20

  let directory: String
  private let lock: FileLock

  /// Makes the folder if need be, and takes it for this process. Throws `FileError`, with `EWOULDBLOCK` if another
  /// process still has it after `patience` seconds: ranks outlive a killed mpirun by one or two.
  init(directory: String, patience: Double = 5) throws {
    self.directory = directory
    try FileSystem.createDirectory(directory)
    lock = try FileLock("\(directory)/lock", patience: patience)
  }

  // MARK: - Reading

  /// All jobs that can be read, and what is wrong with the others, which are left alone. Removes what interrupted
  /// writes have left.
  func load() throws -> (table: JobTable, problems: [String]) {
    var jobs: [QueuedJob] = []
    var problems: [String] = []
    var lastID = 0
    for name in try FileSystem.list(directory) where name != "lock" && !name.hasPrefix(".") {
      let path = "\(directory)/\(name)"
      do {
        if name.contains(".partial-") {
          try FileSystem.remove(path)
        } else if name == "last-id" {
          lastID = max(lastID, try readLastID(path))
        } else if let id = Self.id(of: name) {
          lastID = max(lastID, id)
          jobs.append(try read(path, id: id))
        } else {
          throw Problem(text: "it is no part of the queue: remove it, or move it elsewhere")
        }
      } catch {
        problems.append("the queue leaves \(path) alone: \(error)")
      }
    }
    return (JobTable(jobs, lastID: lastID), problems)
  }

  private struct Problem: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
  }

  private func read(_ path: String, id: Int) throws -> QueuedJob {
    let size = try FileSystem.status(path).size
    guard size <= Self.largestFile else {
      throw Problem(text: "it has \(size) bytes; expected at most \(Self.largestFile)")
    }
    let data = try MappedFile.withBytes(of: path) { Data($0) }
    guard (try? StrictJSON.check(data, bytes: Self.largestFile, values: 1000)) != nil,
      let header = try? JSONDecoder().decode(Header.self, from: data)
    else {
      throw Problem(text: "it is damaged, or no job's file: submit its run again, and remove it")
    }
    guard header.format <= StoredJob.format else {
      throw Problem(
        text: "its format is \(header.format), and this program knows \(StoredJob.format): use a newer version of it")
    }
    guard let stored = try? JSONDecoder().decode(StoredJob.self, from: data), stored.isPossible else {
      throw Problem(text: "it is damaged: submit its run again, and remove it")
    }
    guard stored.job.id == id else {
      throw Problem(text: "it is the file of job \(stored.job.id): give it its name back, or remove it")
    }
    return stored.queued
  }

  private func readLastID(_ path: String) throws -> Int {
    let text = try MappedFile.withBytes(of: path) { String(decoding: $0.prefix(32), as: UTF8.self) }
    guard let id = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)), (0..<Self.mostJobs).contains(id) else {
      throw Problem(text: "expected the last job's number; it is restored from the jobs' files")
    }
    return id
  }

  // MARK: - Writing

  func write(_ job: QueuedJob) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let text = try encoder.encode(StoredJob(job))
    try OutputFile.replace(path(job.id)) { try $0.write(text) }
  }

  func write(lastID: Int) throws {
    try OutputFile.replace("\(directory)/last-id") { try $0.write("\(lastID)\n") }
  }

  func remove(_ id: Int) throws { try FileSystem.remove(path(id)) }

  private func path(_ id: Int) -> String { "\(directory)/\(Self.name(of: id))" }

  private static func name(of id: Int) -> String { "\(id.digits(8)).json" }

  private static func id(of name: String) -> Int? {
    guard let id = Int(name.prefix { $0 != "." }), (1..<mostJobs).contains(id), Self.name(of: id) == name else {
      return nil
    }
    return id
  }
}

/// What a job's file of any version has.
private struct Header: Decodable {
  let format: Int
}

/// A job's file.
private struct StoredJob: Codable {
  static let format = 1
  /// So many are told apart.
  static let mostDeaths = 1000

  var format = Self.format
  var job: Job
  var configuration: String
  var order: Double
  var wish: QueuedJob.Wish?
  /// Missing in files that were written before there was such a number.
  var fruitlessDeaths: Int?

  /// A job that runs is written with the death it would be if nothing were written any more.
  init(_ queued: QueuedJob) {
    job = queued.job
    configuration = queued.configuration
    order = queued.order
    wish = queued.wish
    let death = job.state == .running ? 1 : 0
    job.deaths = min(job.deaths + death, Self.mostDeaths)
    fruitlessDeaths = queued.fruitlessDeaths + death
  }

  /// As it was when it was written, but for deaths: that of a job found running has come true.
  var queued: QueuedJob {
    QueuedJob(
      job: job, configuration: configuration, order: order, wish: wish, fruitlessDeaths: fruitlessDeaths ?? job.deaths)
  }

  /// Whether its numbers are such as are written, and leave room for more.
  var isPossible: Bool {
    [job.deaths, fruitlessDeaths ?? 0].allSatisfy { (0...Self.mostDeaths).contains($0) }
      && abs(order) < Double(1 << 40)
  }
}
