import MPI
import Training

/// Messages between any two ranks of a job, in a communicator of their own.
final class MPIRankLink: RankLink {
  private let communicator: Communicator
  private var sending: [Int: [Under]] = [:]
  private var coming: [Int: Under] = [:]

  /// A message under way, with its bytes.
  private final class Under {
    let bytes: UnsafeMutableBufferPointer<UInt8>
    var request: Request

    init(_ bytes: UnsafeMutableBufferPointer<UInt8>, _ request: consuming Request) {
      self.bytes = bytes
      self.request = request
    }

    deinit { bytes.deallocate() }
  }

  init(_ communicator: consuming Communicator) { self.communicator = communicator }

  deinit {
    // After an error something may be under way for as long as the process is, and its memory with it.
    for under in sending.values.flatMap({ $0 }) + coming.values { _ = Unmanaged.passRetained(under) }
  }

  func send(_ message: [UInt8], to rank: Int) throws {
    let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: message.count)
    _ = bytes.initialize(from: message)
    sending[rank, default: []].append(Under(bytes, try communicator.startSend(bytes, to: rank)))
  }

  func sending(to rank: Int) throws -> Int {
    while let first = sending[rank]?.first, try first.request.isDone() { sending[rank]?.removeFirst() }
    return sending[rank]?.count ?? 0
  }

  func receive(from rank: Int) throws -> [UInt8]? {
    if coming[rank] == nil, let size = try communicator.messageSize(from: rank) {
      let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: size)
      bytes.initialize(repeating: 0)
      coming[rank] = Under(bytes, try communicator.startReceive(bytes, from: rank))
    }
    guard let under = coming[rank], try under.request.isDone() else { return nil }
    coming[rank] = nil
    return Array(under.bytes)
  }
}
