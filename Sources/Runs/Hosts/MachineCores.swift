import Files
import Foundation

/// The physical cores that this process may use. Hyperthreads of one core share its arithmetic units: a second rank
/// there gains nothing.
public struct MachineCores: Codable, Equatable, Sendable {
  /// At least 1: as many cores as affinity and a container's share of the time leave.
  public var count: Int
  /// The CPUs allowed, as the kernel numbers them.
  public var allowed: [Int]
  /// Whether those are all that this machine has.
  public var isWhole: Bool
  /// How many of them a container's share of the time amounts to; nil where it has all.
  public var share: Int?

  public init(count: Int, allowed: [Int], isWhole: Bool, share: Int? = nil) {
    self.count = count
    self.allowed = allowed
    self.isWhole = isWhole
    self.share = share
  }

  /// As many threads as run at once, hyperthreads counted.
  public var threads: Int { min(allowed.count, share ?? .max) }

  /// As the kernel says below `root`.
  public init(root: String = "") {
    func read(_ path: String) -> String? {
      FileManager.default.contents(atPath: root + path).map {
        String(decoding: $0, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
      }
    }
    let online = Self.expand(read("/sys/devices/system/cpu/online") ?? "")
    let status = read("/proc/self/status") ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
    let affinity = Self.expand(line?.drop { $0 != ":" }.dropFirst().trimmingCharacters(in: .whitespaces) ?? "")
    allowed = affinity.isEmpty ? Array(0..<ProcessInfo.processInfo.activeProcessorCount) : affinity
    isWhole = online.isEmpty || allowed == online
    count =
      Set(
        allowed.map { read("/sys/devices/system/cpu/cpu\($0)/topology/thread_siblings_list") ?? "\($0)" }
      ).count
    // Of control groups, version 2 and version 1.
    let both = (read("/sys/fs/cgroup/cpu.max") ?? "").split(separator: " ").map { Double($0) }
    let quota =
      both.count == 2
      ? both : ["quota", "period"].map { read("/sys/fs/cgroup/cpu/cpu.cfs_\($0)_us").flatMap(Double.init) }
    guard let time = quota[0], let period = quota[1], time > 0, period > 0 else { return }
    let share = max(1, Int(time / period))
    self.share = share
    if share < count {
      count = share
      isWhole = false
    }
  }

  /// The numbers of a list such as `0-3,8`.
  public static func expand(_ list: String) -> [Int] {
    list.split(separator: ",").flatMap { part -> [Int] in
      let ends = part.split(separator: "-").compactMap { Int($0) }
      guard let first = ends.first, let last = ends.last, first <= last else { return [] }
      return Array(first...last)
    }
  }
}
