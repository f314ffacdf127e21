import TestSupport
import Testing

@testable import Checkpoints
@testable import Runs

/// Where a run goes on whose machines do not share its folder.
@Suite struct ResumePlanTests {
  private func state(_ step: Int?, _ origin: String = "100-a", damaged: Bool = false) -> FolderState {
    var state = FolderState()
    state.hasCheckpoints = step != nil || damaged
    state.newest = step.map {
      CheckpointSummary(path: "p", step: $0, bestStep: nil, origin: origin, fingerprint: "f", digest: "\(origin)\($0)")
    }
    return state
  }

  private func plan(
    _ own: FolderState, _ others: [FolderState], policy: ResumePolicy = .auto, copies: Bool = true
  ) throws -> ResumePlan {
    try ResumePlan(
      own: own, host: "node0",
      others: others.enumerated().map { ResumePlan.Other(rank: 2 * ($0 + 1), host: "node\($0 + 1)", state: $1) },
      directory: "runs/x", policy: policy, copies: copies)
  }

  @Test func whoHasTheNewestGivesIt() throws {
    #expect(try plan(state(nil), [state(nil), state(nil)]).source == nil)
    #expect(try plan(state(10), [state(10), state(nil)]).source == nil)
    // A stale copy, and one of the same step that differs: the first rank's own counts.
    #expect(try plan(state(10), [state(5)]).source == nil)
    // Its disk is new, or came back old, or what it has is damaged.
    for own in [state(nil), state(5), state(nil, damaged: true)] {
      let plan = try plan(own, [state(7), state(10), state(10)])
      #expect(plan.source == 4 && plan.replicaHost == 2)
      #expect(plan.notes.first?.contains("node2 holds step 10 of this run, node0") == true, "\(plan.notes)")
    }
  }

  @Test func copiesGoToTheFirstMachineThatMayHaveThem() throws {
    #expect(try plan(state(nil), [state(nil), state(nil)]).replicaHost == 2)
    #expect(try plan(state(10), [state(10)]).replicaHost == 2)
    #expect(try plan(state(10), [state(10)], copies: false).replicaHost == nil)
    var shared = FolderState()
    shared.isShared = true
    #expect(try plan(state(10), [shared, state(nil)]).replicaHost == 4)
    #expect(try plan(state(10), [shared]) == plan(state(10), [shared], copies: false))
  }

  @Test func anotherRunOfTheNameIsLeftAlone() throws {
    let begunAnew = try plan(state(10, "200-b"), [state(50, "100-a"), state(nil)])
    #expect(begunAnew.source == nil && begunAnew.replicaHost == 4)
    #expect(begunAnew.notes.contains { $0.contains("node1 holds step 50 of an older run") })
    let alone = try plan(state(10, "200-b"), [state(50, "100-a")])
    #expect(alone.replicaHost == nil && alone.notes.contains { $0.contains("not copied to another host") })
    // The first rank has been away while it was begun anew: only people know which is wanted.
    expectError("runs/x holds one run on node0, and on node1 step 50 of another", "remove the folder") {
      _ = try plan(state(10, "100-a"), [state(50, "200-b")])
    }
    // It has nothing of its own: the one begun last is the one that is meant.
    let lost = try plan(state(nil), [state(50, "100-a"), state(10, "200-b")])
    #expect(lost.source == 4 && lost.replicaHost == 4)
    // Begun by a program that knew no origins.
    #expect(try plan(state(10, ""), [state(20, "")]).source == 2)
    expectError("another of the same name") { _ = try plan(state(10, ""), [state(5, "100-a")]) }
  }

  @Test func aFreshStartTakesThatNobodyHasAny() throws {
    _ = try plan(state(nil), [state(nil)], policy: .never)
    expectError("runs/x on node2 is not empty") {
      _ = try plan(state(nil), [state(nil), state(nil, damaged: true)], policy: .never)
    }
  }
}
