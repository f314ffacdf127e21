import Glibc
import MPI
import Training

/// The first rank of a job and its evaluators, in a communicator of their own, of which the first rank is rank 0.
///
/// A task is three broadcasts: how long its parts are, the task, the numbers. A message is two: its length, and itself.
final class MPIEvaluatorLink: EvaluatorLink {
  private let communicator: Communicator
  /// On their way, or expected; in their order.
  private var sending: [Under] = []
  private var sizes = UnsafeMutableBufferPointer<Int64>.allocate(capacity: 2)
  private var task = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 0)
  private var coming: Under?
  private var messageSize = UnsafeMutableBufferPointer<Int64>.allocate(capacity: 1)
  private var message: Under?

  /// A request on the heap, for an array and an optional.
  private final class Under {
    var request: Request
    init(_ request: consuming Request) { self.request = request }
  }

  /// Broadcasts of at most so many floats.
  private static let piece = 1 << 26
  private static let firstEvaluator = 1

  init(_ communicator: consuming Communicator) { self.communicator = communicator }

  deinit {
    // After an error something may be under way for as long as the process is, and its memory with it.
    let pending = sending + [coming, message].compactMap { $0 }
    guard pending.isEmpty else {
      for under in pending { _ = Unmanaged.passRetained(under) }
      return
    }
    sizes.deallocate()
    task.deallocate()
    messageSize.deallocate()
  }

  // MARK: - The first rank

  func hand(_ bytes: [UInt8], _ numbers: UnsafeMutableBufferPointer<Float>) throws {
    precondition(sending.isEmpty, "a task while another is on its way")
    sizes[0] = Int64(bytes.count)
    sizes[1] = Int64(numbers.count)
    makeRoom(bytes.count)
    _ = task.initialize(from: bytes)
    sending.append(Under(try communicator.startBroadcast(sizes)))
    sending.append(Under(try communicator.startBroadcast(task)))
    for part in Self.pieces(numbers) { sending.append(Under(try communicator.startBroadcast(part))) }
  }

  func isSending() throws -> Bool {
    while let first = sending.first {
      guard try first.request.isDone() else { return true }
      sending.removeFirst()
    }
    return false
  }

  func receive() throws -> [UInt8]? {
    let under = try message ?? Under(communicator.startReceive(messageSize, from: Self.firstEvaluator))
    message = under
    guard try under.request.isDone() else { return nil }
    message = nil
    var bytes = [UInt8](repeating: 0, count: Int(messageSize[0]))
    try bytes.withUnsafeMutableBufferPointer { try communicator.receive($0, from: Self.firstEvaluator) }
    return bytes
  }

  // MARK: - The evaluators

  func isTaskComing() throws -> Bool {
    let under = try coming ?? Under(communicator.startBroadcast(sizes))
    coming = under
    return try under.request.isDone()
  }

  func take(_ numbers: UnsafeMutableBufferPointer<Float>) throws -> [UInt8] {
    while try !isTaskComing() { usleep(MPIRankGroup.pollMicroseconds) }
    coming = nil
    makeRoom(Int(sizes[0]))
    var requests = [Under(try communicator.startBroadcast(task))]
    if sizes[1] > 0 {
      precondition(Int(sizes[1]) == numbers.count, "\(sizes[1]) numbers for \(numbers.count)")
      for part in Self.pieces(numbers) { requests.append(Under(try communicator.startBroadcast(part))) }
    }
    for under in requests {
      while try !under.request.isDone() { usleep(200) }
    }
    return Array(task)
  }

  func tell(_ bytes: [UInt8]) throws {
    var bytes = bytes
    messageSize[0] = Int64(bytes.count)
    try communicator.send(messageSize, to: 0)
    try bytes.withUnsafeMutableBufferPointer { try communicator.send($0, to: 0) }
  }

  private func makeRoom(_ count: Int) {
    guard task.count != count else { return }
    task.deallocate()
    task = .allocate(capacity: count)
    task.initialize(repeating: 0)
  }

  private static func pieces(
    _ numbers: UnsafeMutableBufferPointer<Float>
  ) -> [UnsafeMutableBufferPointer<Float>] {
    stride(from: 0, to: numbers.count, by: piece).map {
      UnsafeMutableBufferPointer(rebasing: numbers[$0..<min($0 + piece, numbers.count)])
    }
  }
}
