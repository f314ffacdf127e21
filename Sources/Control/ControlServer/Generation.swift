import ControlAPI
import Hummingbird
import NIOCore

extension Routes {
  /// Writes text, whole when it is done or piece by piece. A client that goes away ends it.
  @Sendable func generate(_ arguments: Arguments) async throws -> Response {
    let request: GenerationRequest = try await arguments.body()
    try request.validate()
    let place = try generations.take()
    let pieces = try await backend.generate(request)
    if !request.stream {
      let result = try await GenerationResult(prompt: request.prompt, pieces)
      withExtendedLifetime(place) {}
      return try .json(result)
    }
    let channel = arguments.context.channel
    return .eventStream { writer in
      do {
        var isWhole = false
        for try await piece in pieces {
          if case .end = piece { isWhole = true }
          let cut = channel.cut(after: bounds.writeTime)
          defer { cut.cancel() }
          try await writer.write(piece.event())
        }
        try Task.checkCancellation()
        if !isWhole { throw GenerationWithoutEnd() }
      } catch {
        // If it was the writing that failed, it fails again.
        try await writer.write(.event("error", faults.body(of: error, in: "POST /v1/generate")))
      }
      withExtendedLifetime(place) {}
    }
  }
}

/// A fault of the daemon, if the generation was not given up.
private struct GenerationWithoutEnd: Error, CustomStringConvertible {
  let description = "a generation ended without saying how"
}

extension GenerationPiece {
  fileprivate func event() throws -> ByteBuffer {
    switch self {
    case .text(let text): try .event("token", ["text": text])
    case .end(let end): try .event("end", end)
    }
  }
}

extension GenerationResult {
  fileprivate init(prompt: String, _ pieces: AsyncThrowingStream<GenerationPiece, any Error>) async throws {
    var text = ""
    for try await piece in pieces {
      switch piece {
      case .text(let more): text += more
      case .end(let end):
        self.init(prompt: prompt, text: text, end: end)
        return
      }
    }
    try Task.checkCancellation()
    throw GenerationWithoutEnd()
  }
}
