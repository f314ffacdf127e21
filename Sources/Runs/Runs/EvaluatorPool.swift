import Foundation
import Glibc
import Kernels
import Networks
import Training

/// The ranks set aside, as the first rank sees them.
final class EvaluatorPool {
  private let link: any EvaluatorLink
  /// What is on its way, while training changes the parameters themselves.
  private let copy: FloatBuffer
  /// Evaluations and samples that have not come back, texts that are not complete.
  private var results = 0
  private var texts: Set<Int> = []

  /// Throws `KernelError.outOfMemory`.
  init(_ link: any EvaluatorLink, parameters: Parameters) throws {
    self.link = link
    copy = try FloatBuffer(parameters.buffer.count)
  }

  /// Whether a task would have to wait.
  func isBusy() throws -> Bool { try link.isSending() || results > 0 }

  /// Whether nothing is left to come back.
  var isIdle: Bool { results == 0 && texts.isEmpty }

  var hasTexts: Bool { !texts.isEmpty }

  /// Hands over a task with the parameters as they are now, and returns at once.
  func hand(_ task: EvaluatorTask, _ parameters: Parameters) throws {
    switch task {
    case .evaluate, .sample: results += 1
    case .write(let orders, let abandoned):
      texts.formUnion(orders.map(\.id))
      texts.subtract(abandoned)
    case .end, .fail: preconditionFailure("see end")
    }
    copy.copy(from: parameters.buffer)
    try link.hand(Array(JSONEncoder().encode(task)), copy.values)
  }

  /// What has come since.
  func messages() throws -> [EvaluatorMessage] {
    _ = try link.isSending()
    var messages: [EvaluatorMessage] = []
    while !isIdle, let bytes = try link.receive() { messages.append(try take(bytes)) }
    return messages
  }

  /// Waits, asleep, until something has come; `meanwhile` is called now and then.
  func waitForMessages(_ meanwhile: () -> Void) throws -> [EvaluatorMessage] {
    while !isIdle {
      let messages = try messages()
      if !messages.isEmpty { return messages }
      meanwhile()
      usleep(1000)
    }
    return []
  }

  private func take(_ bytes: [UInt8]) throws -> EvaluatorMessage {
    let message = try JSONDecoder().decode(EvaluatorMessage.self, from: Data(bytes))
    switch message {
    case .result, .stopped: results -= 1
    case .pieces(let pieces):
      for piece in pieces where piece.isComplete || piece.error != nil { texts.remove(piece.id) }
    case .failed, .ended:
      // Nothing more comes of what was handed over.
      results = 0
      texts = []
    }
    return message
  }

  /// Ends them all; what they were doing is given up. `task` is `end` or `fail`.
  func end(_ task: EvaluatorTask) throws {
    while try link.isSending() { usleep(200) }
    try link.hand(Array(JSONEncoder().encode(task)), UnsafeMutableBufferPointer(start: nil, count: 0))
    while true {
      _ = try link.isSending()
      if let bytes = try link.receive(), case .ended = try take(bytes) { return }
      usleep(200)
    }
  }
}
