import Networks
import Testing
import Training

@testable import Runs

/// What happens between two steps, decided without ranks, clocks or files.
@Suite struct CoordinatorTests {
  /// A run of `stepsPerEpoch` steps an epoch that obeys a coordinator, a second a step, and keeps a diary.
  private struct Simulation {
    var schedule = CoordinatorConfiguration()
    var stepsPerEpoch = 4
    var epochs = 2
    var hasValidation = true
    var secondsPerStep = 1.0
    /// Steps whose evaluation is the best so far.
    var best: Set<Int> = []
    /// Someone asks for a stop during this step.
    var stopAfter: Int?
    /// What people ask for during a step.
    var requests: [Int: [RunRequest]] = [:]
    var pauseAfter: Int?
    /// How often a pause is looked after before it ends.
    var pauses = 3
    /// Slices that a text takes, and those that are left of all.
    var slicesPerText = 3
    var slicesLeft = 0
    /// Steps that are made while the evaluators are at it.
    var evaluationSteps = 3
    var handedAt = 0
    var moment = Coordinator.Moment()

    mutating func handOver() {
      guard moment.hasEvaluators else { return }
      handedAt = moment.step
      moment.evaluatorsAreBusy = true
      moment.evaluatorsAreIdle = false
    }

    mutating func comeBack() {
      moment.evaluatorsAreBusy = false
      moment.evaluatorsAreIdle = true
      let task = EvaluationTask(part: .validation, step: handedAt, epoch: moment.epoch)
      moment.found.append(.evaluation(task, [1, 1], seconds: 1))
    }

    /// What was done, `train` apart, each with its step; ends with the run, or at a stop.
    mutating func diary(evaluated: Int? = nil, generated: Int? = nil, saved: Int? = 0) -> [String] {
      var coordinator = Coordinator(
        schedule, hasValidation: hasValidation, at: moment, evaluated: evaluated, generated: generated, saved: saved)
      var diary: [String] = []
      for _ in 0..<1000 {
        let directive = coordinator.next(at: moment)
        switch directive {
        case .train:
          moment.step += 1
          moment.seconds += secondsPerStep
          moment.isBetweenEpochs = false
          moment.epochIsComplete = moment.step == (moment.epoch + 1) * stepsPerEpoch
          if moment.step == stopAfter { moment.stopReason = "asked" }
          moment.requests += requests[moment.step] ?? []
          if moment.step == pauseAfter { moment.isPaused = true }
          if moment.evaluatorsAreBusy, moment.step == handedAt + evaluationSteps { comeBack() }
          continue
        case .finishEpoch(let evaluates):
          moment.epoch += 1
          moment.epochIsComplete = false
          moment.isBetweenEpochs = true
          moment.isFinished = moment.epoch == epochs
          diary.append(evaluates ? "\(moment.step) epoch+" : "\(moment.step) epoch")
          if evaluates { handOver() }
          if evaluates, best.contains(moment.step) { moment.bestStep = moment.step }
        case .evaluate:
          diary.append("\(moment.step) evaluate")
          handOver()
          if best.contains(moment.step) { moment.bestStep = moment.step }
        case .generate: diary.append("\(moment.step) generate")
        case .checkpoint: diary.append("\(moment.step) checkpoint")
        case .answer(let request):
          moment.requests.removeAll { $0 == request }
          diary.append("\(moment.step) answer")
        case .write(let orders, let abandoned):
          moment.requests.removeAll { if case .generate(let order) = $0 { orders.contains(order) } else { false } }
          moment.abandoned = []
          slicesLeft += orders.count * slicesPerText - 1
          if !abandoned.isEmpty { slicesLeft = 0 }
          moment.isWriting = slicesLeft > 0
          diary.append("\(moment.step) write")
        case .pause:
          diary.append("\(moment.step) pause")
          pauses -= 1
          moment.isPaused = pauses > 0
        case .take(let result):
          moment.found.removeFirst()
          if case .evaluation(let task, _, _) = result { diary.append("\(moment.step) take \(task.step)") }
        case .waitForEvaluators:
          diary.append("\(moment.step) wait")
          comeBack()
        case .fail: return diary + ["\(moment.step) fail"]
        case .finish: return diary + ["\(moment.step) finish"]
        case .stop: return diary + ["\(moment.step) stop"]
        }
      }
      return diary + ["no end"]
    }
  }

  private func simulation(
    evaluate: [Interval] = [], generate: [Interval] = [], checkpoint: [Interval] = []
  ) -> Simulation {
    var simulation = Simulation()
    simulation.schedule.evaluate = evaluate
    simulation.schedule.generate = generate
    simulation.schedule.checkpoint = checkpoint
    return simulation
  }

  @Test func epochsAreEvaluatedAndSavedUnlessToldOtherwise() {
    var simulation = Simulation()
    #expect(simulation.diary() == ["4 epoch+", "4 checkpoint", "8 epoch+", "8 checkpoint", "8 finish"])
  }

  @Test func nothingIsDoneThatNobodyAskedFor() {
    var simulation = simulation()
    #expect(simulation.diary() == ["4 epoch", "8 epoch", "8 finish"])
  }

  @Test func stepsEpochsAndTimes() {
    var simulation = simulation(evaluate: [.steps(3)], generate: [.epochs(2)], checkpoint: [.seconds(5)])
    #expect(
      simulation.diary() == [
        "3 evaluate", "4 epoch", "5 checkpoint", "6 evaluate", "8 epoch", "8 generate", "8 finish",
      ])
  }

  @Test func whatFallsTogetherIsDoneOnceAndInOrder() {
    var simulation = simulation(
      evaluate: [.steps(2), .epochs(1), .seconds(4)], generate: [.steps(4)], checkpoint: [.steps(4), .epochs(1)])
    #expect(
      simulation.diary() == [
        "2 evaluate", "4 epoch+", "4 generate", "4 checkpoint", "6 evaluate", "8 epoch+", "8 generate", "8 checkpoint",
        "8 finish",
      ])
  }

  @Test func theBestIsSavedAtOnce() {
    var simulation = simulation(evaluate: [.steps(3)])
    simulation.best = [3]
    #expect(
      simulation.diary() == ["3 evaluate", "3 checkpoint", "4 epoch", "6 evaluate", "8 epoch", "8 finish"])
  }

  @Test func aStopSavesFirst() {
    var simulation = Simulation()
    simulation.stopAfter = 3
    #expect(simulation.diary() == ["3 checkpoint", "3 stop"])
    simulation = Simulation()
    simulation.stopAfter = 4
    #expect(simulation.diary() == ["4 epoch+", "4 checkpoint", "4 stop"])
    simulation = Simulation()
    simulation.stopAfter = 8  // too late: the run is over
    #expect(simulation.diary().last == "8 finish")
  }

  /// Where the end of a run takes long, it is given up for a stop, and done when the run is resumed.
  @Test func anEndThatIsGivenUpStops() {
    var simulation = Simulation()
    simulation.stopAfter = 8
    #expect(simulation.diary().last == "8 finish")
    simulation.moment.endIsGivenUp = true
    #expect(simulation.diary(evaluated: 8, saved: 8) == ["8 stop"])
    #expect(simulation.diary(evaluated: 8, saved: 4) == ["8 checkpoint", "8 stop"])
    simulation.moment.endIsGivenUp = false
    simulation.moment.stopReason = nil
    #expect(simulation.diary(evaluated: 8, saved: 8) == ["8 finish"])
  }

  /// What ranks set aside have given up for a stop is not followed by the next.
  @Test func aStopBeginsNothingElse() {
    var simulation = simulation(evaluate: [.steps(2)], generate: [.steps(2)])
    simulation.moment.hasEvaluators = true
    simulation.moment.step = 4
    simulation.moment.isBetweenEpochs = false
    simulation.moment.stopReason = "asked"
    simulation.moment.taskIsGivenUp = true
    #expect(simulation.diary(evaluated: 2, generated: 2, saved: 0) == ["4 checkpoint", "4 stop"])
    simulation.moment.epochIsComplete = true
    #expect(simulation.diary(evaluated: 2, generated: 2, saved: 0) == ["4 epoch", "4 checkpoint", "4 stop"])
  }

  /// An evaluation at the end of the last epoch that was given up is made when the run is resumed.
  @Test func anEvaluationThatIsGivenUpIsMadeLater() {
    var simulation = Simulation()
    simulation.moment.step = 8
    simulation.moment.epoch = 2
    simulation.moment.isFinished = true
    #expect(simulation.diary(evaluated: 4, saved: 8) == ["8 evaluate", "8 finish"])
  }

  @Test func whatWasDoneBeforeABreakIsNotDoneAgain() {
    var whole = simulation(evaluate: [.steps(2)], generate: [.steps(4)], checkpoint: [.steps(2)])
    let diary = whole.diary()
    for stop in 1..<8 {
      var first = simulation(evaluate: [.steps(2)], generate: [.steps(4)], checkpoint: [.steps(2)])
      first.stopAfter = stop
      let before = first.diary()
      #expect(before.suffix(2).first?.hasSuffix("checkpoint") == true)
      var second = first
      second.stopAfter = nil
      second.moment.stopReason = nil
      second.moment.seconds = 0
      let after = second.diary(
        evaluated: stop.isMultiple(of: 2) ? stop : stop - 1, generated: stop >= 4 ? 4 : nil, saved: stop)
      let both =
        before.filter { $0 != "\(stop) stop" && (stop.isMultiple(of: 2) || $0 != "\(stop) checkpoint") } + after
      #expect(both == diary, "stopped after \(stop)")
    }
  }

  @Test func withoutAValidationTextThereAreNoEvaluations() {
    var simulation = simulation(evaluate: [.steps(1), .epochs(1)])
    simulation.hasValidation = false
    #expect(simulation.diary() == ["4 epoch", "8 epoch", "8 finish"])
  }

  @Test func aRunThatIsOverOnlyEnds() {
    var simulation = Simulation()
    simulation.moment.step = 8
    simulation.moment.epoch = 2
    simulation.moment.isFinished = true
    #expect(simulation.diary(evaluated: 8, saved: 8) == ["8 finish"])
  }

  private func order(_ id: Int) -> RunRequest {
    .generate(GenerationOrder(id: id, prompt: "", length: 9, settings: SamplingSettings(temperature: 1, seed: 1)))
  }

  @Test func requestsAreAnsweredBetweenSteps() {
    var simulation = simulation()
    simulation.requests = [2: [.evaluate(id: 1, part: .test), .checkpoint(id: 2)], 3: [.checkpoint(id: 3)]]
    #expect(simulation.diary() == ["2 answer", "2 answer", "3 answer", "4 epoch", "8 epoch", "8 finish"])
  }

  @Test func textsAreWrittenASliceAStep() {
    var simulation = simulation()
    simulation.requests = [1: [order(1)], 2: [order(2)]]
    #expect(
      simulation.diary() == [
        "1 write", "2 write", "3 write", "4 epoch", "4 write", "5 write", "6 write", "8 epoch", "8 finish",
      ])
  }

  @Test func textsAreCompletedBeforeTheRunEnds() {
    var simulation = simulation()
    simulation.requests = [8: [order(1)]]
    #expect(simulation.diary() == ["4 epoch", "8 epoch", "8 write", "8 write", "8 write", "8 finish"])
  }

  @Test func aStopDoesNotWaitForRequests() {
    var simulation = simulation()
    simulation.requests = [3: [order(1), .checkpoint(id: 2)]]
    simulation.stopAfter = 3
    #expect(simulation.diary() == ["3 checkpoint", "3 stop"])
  }

  @Test func aPausedRunStillAnswersAndWrites() {
    var simulation = simulation()
    simulation.pauseAfter = 2
    simulation.requests = [2: [order(1), .evaluate(id: 2, part: .validation)]]
    #expect(
      simulation.diary() == [
        "2 answer", "2 write", "2 write", "2 write", "2 pause", "2 pause", "2 pause", "4 epoch", "8 epoch", "8 finish",
      ])
  }

  @Test func everythingAtOnceComesInOrder() {
    var simulation = simulation(evaluate: [.steps(3)], generate: [.steps(3)], checkpoint: [.steps(3)])
    simulation.requests = [3: [.checkpoint(id: 1), order(2), .evaluate(id: 3, part: .validation)]]
    simulation.pauseAfter = 3
    simulation.pauses = 1
    simulation.stopAfter = 6
    #expect(
      simulation.diary() == [
        "3 evaluate", "3 generate", "3 checkpoint", "3 answer", "3 answer", "3 write", "3 write", "3 write", "3 pause",
        "4 epoch", "6 evaluate", "6 generate", "6 checkpoint", "6 stop",
      ])
  }

  @Test func aRunThatIsOverIsNotStopped() {
    var simulation = simulation()
    simulation.requests = [8: [.evaluate(id: 1, part: .test)]]
    simulation.stopAfter = 8
    #expect(simulation.diary() == ["4 epoch", "8 epoch", "8 answer", "8 finish"])
  }

  @Test func evaluatorsWorkWhileOthersTrain() {
    var simulation = Simulation()
    simulation.moment.hasEvaluators = true
    #expect(
      simulation.diary() == [
        "4 epoch+", "4 checkpoint", "7 take 4", "8 epoch+", "8 checkpoint", "8 wait", "8 take 8", "8 finish",
      ])
  }

  @Test func anEvaluationWaitsForTheOneBefore() {
    var simulation = simulation(evaluate: [.steps(2)])
    simulation.moment.hasEvaluators = true
    #expect(
      simulation.diary() == [
        "2 evaluate", "2 checkpoint", "4 wait", "4 take 2", "4 epoch+", "4 checkpoint", "6 wait", "6 take 4",
        "6 evaluate", "6 checkpoint", "8 wait", "8 take 6", "8 epoch+", "8 checkpoint", "8 wait", "8 take 8",
        "8 finish",
      ])
  }

  @Test func aStopWaitsForWhatIsKnownSoon() {
    var simulation = Simulation()
    simulation.moment.hasEvaluators = true
    simulation.stopAfter = 5
    #expect(
      simulation.diary() == [
        "4 epoch+", "4 checkpoint", "5 checkpoint", "5 wait", "5 take 4", "5 checkpoint", "5 stop",
      ])
  }

  @Test func evaluatorsThatFailEndTheRun() {
    var simulation = Simulation()
    simulation.moment.failure = "no memory"
    #expect(simulation.diary() == ["0 fail"])
  }
}
