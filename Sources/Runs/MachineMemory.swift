import Files
import Foundation
import Glibc

/// Memory this machine can still give, and this process may take.
enum MachineMemory {
  /// Bytes available to all processes here: what the kernel reports, or less under a control group's limit.
  static func available() -> Int {
    min(fromKernel() ?? .max, fromControlGroup() ?? .max)
  }

  /// Bytes this process may map (`ulimit -v`).
  static func ownLimit() -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { return .max }
    return Int(clamping: limit.rlim_cur)
  }

  private static func fromKernel() -> Int? {
    for line in read("/proc/meminfo").split(separator: "\n") where line.hasPrefix("MemAvailable:") {
      return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }
    return nil
  }

  private static func fromControlGroup() -> Int? {
    guard let limit = number("/sys/fs/cgroup/memory.max") else { return nil }
    return limit - (number("/sys/fs/cgroup/memory.current") ?? 0)
  }

  private static func number(_ path: String) -> Int? {
    Int(read(path).trimmingCharacters(in: .whitespacesAndNewlines))
  }

  /// Empty where there is no such file: then that limit is not known here.
  private static func read(_ path: String) -> String {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}
