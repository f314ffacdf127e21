import Glibc
import MPI
import Training

/// The ranks of an MPI job, as the training loop sees them.
public final class MPIRankGroup: RankGroup {
  private let communicator: Communicator
  /// For meeting after an error, when the other one may be in the middle of something.
  private let exitReport: Communicator
  /// Memory that ranks of this machine share, for as long as its exchange is in use.
  private var lent: [Lent] = []
  private let ranksOfMachine: Int?
  private let watchdog: Watchdog?
  /// Whether ranks have been seen to be elsewhere: then nothing can be done together any more.
  private var isBroken = false
  public let host: String
  public private(set) var waitedSeconds = 0.0

  /// A request on the heap: an array cannot hold what is not copyable.
  private final class Box {
    var request: Request
    init(_ request: consuming Request) { self.request = request }
  }

  private struct Lent {
    let memory: SharedMemory
    weak var exchange: MPIGradientExchange?
  }

  /// All ranks of the job. Those of one machine exchange gradients in memory that they share; with `ranksOfMachine`, for
  /// tests, so many each do, and by messages with the others, as between machines. Throws `MPIError`.
  public convenience init(ranksOfMachine: Int? = nil) throws { try self.init(nil, ranksOfMachine: ranksOfMachine) }

  /// Watched over by `watchdog`.
  init(_ watchdog: Watchdog?, ranksOfMachine: Int? = nil) throws {
    self.watchdog = watchdog
    self.ranksOfMachine = ranksOfMachine
    communicator = try Self.meetingInMemory(World.communicator("all ranks"), ranksOfMachine)
    exitReport = try World.communicator("all ranks, after an error")
    host = World.host
  }

  /// So that ranks which wait for each other leave their cores to others.
  private static func meetingInMemory(
    _ communicator: consuming Communicator, _ ranksOfMachine: Int?
  ) throws -> Communicator {
    // Those of several machines send messages, and so do those that pretend to be.
    if ranksOfMachine != nil { return communicator }
    return try communicator.meetingInMemory()
  }

  /// Some of the ranks of a job.
  private init(
    _ part: consuming Communicator, exitReport: consuming Communicator, ranksOfMachine: Int?, _ watchdog: Watchdog?
  ) {
    self.watchdog = watchdog
    self.ranksOfMachine = ranksOfMachine
    communicator = part
    self.exitReport = exitReport
    host = World.host
  }

  deinit {
    // What fails here has nobody to be told any more, and the memory goes with the process.
    if !isBroken { for lent in lent { try? lent.memory.free() } }
  }

  public func makeExchange(
    count: Int, precision: TrainingConfiguration.ExchangePrecision
  ) throws -> any GradientExchange {
    try giveBack()
    let exchange = try MPIGradientExchange(
      communicator, count: count, precision: precision, ranksOfMachine: ranksOfMachine
    ) { [unowned self] in waitedSeconds += $0 }
    if let memory = exchange.shared { lent.append(Lent(memory: memory, exchange: exchange)) }
    return exchange
  }

  /// Gives back the memory that exchanges which are gone had shared. All ranks take part.
  public func giveBack() throws {
    for lent in lent where lent.exchange == nil { try lent.memory.free() }
    lent.removeAll { $0.exchange == nil }
  }

  public func split(evaluators: Int) throws -> RankSplit {
    precondition((0..<count).contains(evaluators), "\(evaluators) evaluators of \(count) ranks")
    if evaluators == 0 { return RankSplit(role: .training(self, nil)) }
    let evaluates = rank >= count - evaluators
    let color = evaluates ? 1 : 0
    guard
      let part = try communicator.split(
        color: color, name: evaluates ? "the ranks that evaluate" : "the ranks that train"),
      let exitReport = try communicator.split(
        color: color, name: evaluates ? "those that evaluate, after an error" : "those that train, after an error")
    else { preconditionFailure("every rank has a colour") }
    let group = MPIRankGroup(
      try Self.meetingInMemory(part, ranksOfMachine), exitReport: exitReport, ranksOfMachine: ranksOfMachine, watchdog)
    let link = try communicator.split(
      color: evaluates || rank == 0 ? 0 : nil, name: "the first rank and its evaluators")
    switch consume link {
    case .some(let link):
      let made = MPIEvaluatorLink(link)
      return RankSplit(role: evaluates ? .evaluating(group, made) : .training(group, made))
    case .none: return RankSplit(role: .training(group, nil))
    }
  }

  public func does(_ activity: String, step: Int, isResting: Bool) {
    watchdog?.vitals.does(activity, step: step, isResting: isResting)
  }

  public func hasSaved(step: Int) { watchdog?.vitals.has(saved: step) }

  public func limitStalls(to seconds: Double) { watchdog?.limit(to: seconds) }

  public func makeLink() throws -> any RankLink {
    guard let copy = try communicator.split(color: 0, name: "messages beside all else") else {
      preconditionFailure("every rank has a colour")
    }
    return MPIRankLink(copy)
  }

  public var rank: Int { communicator.rank }
  public var count: Int { communicator.count }

  public func allReduce(_ values: [Double]) throws -> [Double] {
    var values = values
    try timed { try values.withUnsafeMutableBufferPointer { try communicator.allReduce($0) } }
    return values
  }

  public func allGather(_ bytes: [UInt8]) throws -> [[UInt8]] { try timed { try communicator.allGather(bytes) } }

  public func send(_ values: UnsafeMutableBufferPointer<Float>, to rank: Int) throws {
    try timed { try communicator.send(values, to: rank) }
  }

  public func receive(_ values: UnsafeMutableBufferPointer<Float>, from rank: Int) throws {
    try timed { try communicator.receive(values, from: rank) }
  }

  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer) throws {
    try timed { try communicator.broadcast(bytes) }
  }

  private func timed<Value>(_ call: () throws -> Value) rethrows -> Value {
    let clock = ContinuousClock()
    let begin = clock.now
    defer { waitedSeconds += (clock.now - begin) / .seconds(1) }
    return try call()
  }

  public func waitForAll(_ meanwhile: () -> Void) throws {
    let barrier = Box(try communicator.startBarrier())
    try barrier.request.wait(meanwhile)
  }

  public func meetAfterError() -> Bool {
    isBroken = isBroken || !meetToPart()
    return !isBroken
  }

  private func meetToPart() -> Bool {
    do {
      let barrier = Box(try exitReport.startBarrier())
      let deadline = ContinuousClock.now + Self.arrivalTime
      while !(try barrier.request.isDone()) {
        guard ContinuousClock.now < deadline else {
          _ = Unmanaged.passRetained(barrier)  // under way for as long as the process is
          return false
        }
        usleep(Self.pollMicroseconds)
      }
      return true
    } catch {
      return false  // MPI itself fails
    }
  }

  static let pollMicroseconds: UInt32 = 5_000
  /// For which an error waits for the other ranks to meet with it too: on a busy machine they come seconds apart.
  private static let arrivalTime = Duration.seconds(5)
}
