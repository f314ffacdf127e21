import Foundation
import Training

/// Which ranks of a job share a machine, and with it its files.
public struct Machines: Equatable {
  /// The name of each rank's host.
  public let hosts: [String]
  /// Of each rank, the first rank of its machine.
  public let firsts: [Int]

  /// All ranks take part.
  public init(_ group: any RankGroup) throws {
    // Two machines may have one name, and parts of one machine, as containers are, names of their own.
    let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
    self.init(try group.allGather(Array("\(group.host)\n\(boot)".utf8)).map { String(decoding: $0, as: UTF8.self) })
  }

  /// From each rank's host, and what tells it from others of its name, with a line end between.
  init(_ names: [String]) {
    hosts = names.map { String($0.prefix { $0 != "\n" }) }
    firsts = names.map { name in names.firstIndex(of: name) ?? 0 }
  }

  /// The first rank of each machine, in order: that of rank 0 is the first.
  public var all: [Int] { firsts.indices.filter { firsts[$0] == $0 } }

  /// The ranks of a rank's machine.
  public func peers(of rank: Int) -> [Int] { firsts.indices.filter { firsts[$0] == firsts[rank] } }
}
