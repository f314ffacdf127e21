import Glibc
import Testing

@testable import Launching

@Suite struct RestartPolicyTests {
  private let killed = AttemptEnding(.exited(137))

  @Test(arguments: [Int32(0), 75]) func theEndIsTheEnd(status: Int32) {
    for isDaemon in [false, true] {
      var policy = RestartPolicy(maximum: 5, isDaemon: isDaemon)
      #expect(policy.decide(AttemptEnding(.exited(status))) == .end(status: status))
    }
  }

  @Test func errorsThatWouldRecurAreNotTriedAgain() {
    var policy = RestartPolicy(maximum: 5)
    let error = RankVerdict(isError: true)
    #expect(policy.decide(AttemptEnding(.exited(1), verdict: error)) == .end(status: 1))
    #expect(policy.decide(AttemptEnding(.exited(64))) == .end(status: 64))
    // mpirun ends with 1 when it has lost a host: no rank has said so.
    #expect(policy.decide(AttemptEnding(.exited(1))) == .restart(after: 1))
    #expect(policy.decide(AttemptEnding(.exited(76), verdict: RankVerdict(diagnosis: "rank 2"))) == .restart(after: 2))
  }

  /// Ranks that end because another stands still save and stop as if they were asked to.
  @Test func aStopThatNobodyAskedForIsStartedAgain() {
    var policy = RestartPolicy(maximum: 5)
    let diagnosis = RankVerdict(diagnosis: "rank 2")
    #expect(policy.decide(AttemptEnding(.exited(75), verdict: diagnosis)) == .restart(after: 1))
    #expect(policy.decide(AttemptEnding(.exited(75), verdict: diagnosis, wasAsked: true)) == .end(status: 75))
  }

  @Test func pausesGrowToAMinuteAndEnd() {
    var policy = RestartPolicy(maximum: 9)
    let pauses = (0..<9).map { _ in policy.decide(killed) }
    #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60].map { .restart(after: $0) })
    #expect(policy.decide(killed) == .giveUp(status: 137))
  }

  @Test func tenMinutesOfTrainingShortenThePause() {
    var policy = RestartPolicy(maximum: 3)
    var trained = killed
    trained.trainedSeconds = 601
    #expect(policy.decide(killed) == .restart(after: 1))
    #expect(policy.decide(killed) == .restart(after: 2))
    #expect(policy.decide(trained) == .restart(after: 1))
    #expect(policy.decide(trained) == .giveUp(status: 137), "the number of restarts stays")
  }

  @Test func aDaemonIsKeptUp() {
    var policy = RestartPolicy(maximum: 1, isDaemon: true)
    var error = AttemptEnding(.exited(1), verdict: RankVerdict(isError: true))
    #expect(policy.decide(error) == .restart(after: 1))
    error.trainedSeconds = 601
    for _ in 0..<5 { #expect(policy.decide(error) == .restart(after: 1)) }
    #expect(policy.decide(AttemptEnding(.exited(64))) == .end(status: 64))
    #expect(policy.decide(AttemptEnding(.exited(1))) == .giveUp(status: 1))
  }

  @Test func whatWasAskedToStopIsNotStartedAgain() {
    var policy = RestartPolicy(maximum: 5)
    #expect(policy.decide(AttemptEnding(.exited(137), wasAsked: true)) == .end(status: 137))
    #expect(policy.decide(AttemptEnding(.signalled(9), wasAsked: true)) == .end(status: 137))
  }

  @Test(arguments: [
    ([SIGUSR1], 1, false), ([SIGUSR1, SIGTERM], 2, false), ([SIGINT, SIGTERM], 1, true), ([], 0, false),
  ])
  func signalsAreCounted(signals: [Int32], asked: Int, isUrgent: Bool) {
    let requests = StopRequests()
    for signal in signals { requests.note(signal) }
    #expect(requests.asked == asked && requests.isUrgent == isUrgent)
  }
}
