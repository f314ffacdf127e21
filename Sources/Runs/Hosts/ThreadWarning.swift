import Files
import Foundation
import Kernels
import Training

extension MachineCores {
  /// What to tell where some ranks here of so many threads each are more than run at once; nil where they are not.
  public func warning(ranks: Int = 1, threads: Int) -> String? {
    guard ranks * threads > self.threads else { return nil }
    let fitting = max(1, self.threads / ranks)
    let who = (ranks == 1 ? "" : "\(ranks) ranks of ") + counted(threads, "thread")
    let remedy =
      (threads > fitting ? "set OMP_NUM_THREADS=\(fitting)" : "start fewer")
      + (ranks == 1 ? "" : ", or let launch/train start them")
    return
      "\(who) share the \(counted(self.threads, "processor")) that may be used here and wait for each other: \(remedy)"
  }

  /// The same for all ranks of this rank's host; each may be bound to others of its processors. All ranks take part.
  public static func warning(_ group: any RankGroup) throws -> String? {
    var cores = MachineCores()
    let own = try JSONEncoder().encode([group.host: cores.allowed])
    let here = try group.allGather(Array(own)).compactMap {
      try JSONDecoder().decode([String: [Int]].self, from: Data($0))[group.host]
    }
    cores.allowed = Array(Set(here.joined()))
    return cores.warning(ranks: here.count, threads: OneDNN.threads)
  }
}
