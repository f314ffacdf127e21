import Foundation
import Glibc
import Training

/// Memory this machine can still give, and this process may take.
public enum MachineMemory {
  /// Throws `TrainingError.tooLittleMemory` where some ranks that need so many bytes each do not fit.
  public static func check(_ needed: Int, ranksHere: Int) throws {
    let available = available()
    let (together, overflow) = needed.multipliedReportingOverflow(by: ranksHere)
    if overflow || together > available {
      throw TrainingError.tooLittleMemory(
        needed: overflow ? .max : together, available: available, ranks: ranksHere)
    }
    if needed > ownLimit() {
      throw TrainingError.tooLittleMemory(needed: needed, available: ownLimit(), ranks: 1)
    }
  }

  /// Bytes available to all processes here: what the kernel reports, or less under a control group's limit.
  static func available() -> Int {
    ([fromKernel()] + controlGroups()).compactMap { $0 }.min() ?? .max
  }

  /// Bytes this process may map (`ulimit -v`).
  static func ownLimit() -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { return .max }
    return Int(clamping: limit.rlim_cur)
  }

  private static func fromKernel() -> Int? {
    value(of: "MemAvailable:", in: read("/proc/meminfo")).map { $0 * 1024 }
  }

  /// What is left in this process's control group, of version 2 and of version 1, and in those above it.
  private static func controlGroups() -> [Int?] {
    read("/proc/self/cgroup").split(separator: "\n").flatMap { line -> [Int?] in
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 3 else { return [] }
      var folders = [""]
      for name in parts[2].split(separator: "/") { folders.append("\(folders.last ?? "")/\(name)") }
      if parts[0] == "0" {
        return folders.map { left("/sys/fs/cgroup\($0)", limit: "memory.max", used: "memory.current") }
      }
      guard parts[1].split(separator: ",").contains("memory") else { return [] }
      return folders.map {
        left("/sys/fs/cgroup/memory\($0)", limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes")
      }
    }
  }

  /// Pages of files count as used, but are given back when memory is asked for.
  private static func left(_ folder: String, limit: String, used: String) -> Int? {
    guard let limit = number("\(folder)/\(limit)"), let used = number("\(folder)/\(used)") else { return nil }
    let statistics = read("\(folder)/memory.stat")
    let files = ["inactive_file", "active_file"].compactMap { value(of: $0, in: statistics) }.reduce(0, +)
    return max(0, limit - max(0, used - files))
  }

  /// The number behind a name at the start of a line.
  private static func value(of name: String, in text: String) -> Int? {
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count >= 2, words[0] == name { return Int(words[1]) }
    }
    return nil
  }

  private static func number(_ path: String) -> Int? {
    Int(read(path).trimmingCharacters(in: .whitespacesAndNewlines))
  }

  /// Empty where there is no such file: then that limit is not known here.
  private static func read(_ path: String) -> String {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}
