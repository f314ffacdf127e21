import Corpus
import Foundation
import Inference
import Networks
import Tasks
import Training

/// Texts that are being written while a run trains: a little of each between two steps, with the parameters as they were
/// when it was begun. Every rank has one and is told the same; each text is written by one rank.
final class GenerationScheduler {
  /// What a rank has written in a slice, of one text.
  struct Piece: Codable, Equatable {
    let id: Int
    /// One for each token, where it completes a character.
    var texts: [String] = []
    /// Of the whole text so far.
    var tokens = 0
    var isComplete = false
    var error: String?

    mutating func append(_ text: String) { if !text.isEmpty { texts.append(text) } }
  }

  /// A text under way; the rank that writes it has the writer.
  private struct Text {
    let order: GenerationOrder
    let rank: Int
    var writer: TextGenerator?
    var filter = StopText([])
    var stream = TextStream()
    var written = 0
  }

  private let group: any RankGroup
  private let task: any LearningTask
  private let tokenizer: Tokenizer
  private let parameters: Parameters
  private var texts: [Text] = []

  init(_ task: any LearningTask, _ tokenizer: Tokenizer, _ parameters: Parameters, group: any RankGroup) {
    self.task = task
    self.tokenizer = tokenizer
    self.parameters = parameters
    self.group = group
  }

  var isEmpty: Bool { texts.isEmpty }

  /// Ends texts that nobody waits for, begins new ones, and writes on all for up to `seconds`. Returns what all ranks have
  /// written; all take part.
  func write(_ orders: [GenerationOrder], abandoned: [Int], seconds: Double) throws -> [Piece] {
    texts.removeAll { abandoned.contains($0.order.id) }
    var own = begin(orders)
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(seconds)
    // In turn, so that a long text does not keep a short one waiting.
    var isBusy = true
    while isBusy {
      isBusy = false
      for index in texts.indices where texts[index].writer != nil {
        if clock.now >= deadline { break }
        isBusy = writeToken(of: index, into: &own) || isBusy
      }
      if clock.now >= deadline { break }
    }
    let all = try group.allGather(Array(JSONEncoder().encode(Array(own.values)))).flatMap {
      try JSONDecoder().decode([Piece].self, from: Data($0))
    }
    texts.removeAll { text in all.contains { $0.id == text.order.id && ($0.isComplete || $0.error != nil) } }
    return all.sorted { $0.id < $1.id }
  }

  /// Deals new texts to the ranks with the fewest.
  private func begin(_ orders: [GenerationOrder]) -> [Int: Piece] {
    var pieces: [Int: Piece] = [:]
    var snapshot: Parameters?
    for order in orders {
      let rank = (0..<group.count).min { load(of: $0) < load(of: $1) } ?? 0
      var text = Text(order: order, rank: rank)
      if rank == group.rank {
        do {
          let copy = try snapshot ?? parameters.copy()
          snapshot = copy
          text.filter = try StopText(order.stop.map { Array($0.utf8) }, in: tokenizer.vocabulary)
          let prompt = Prompt(order.prompt.utf8, begin: order.begin)
          text.writer = try TextGenerator(tokenizer, task.makePredictor(copy), prompt: prompt, order.settings)
        } catch {
          pieces[order.id] = Piece(id: order.id, error: "\(error)")
        }
      }
      texts.append(text)
    }
    return pieces
  }

  private func load(of rank: Int) -> Int { texts.count { $0.rank == rank } }

  /// Says whether there is more to write of it.
  private func writeToken(of index: Int, into pieces: inout [Int: Piece]) -> Bool {
    guard let writer = texts[index].writer else { return false }
    let order = texts[index].order
    var piece = pieces[order.id] ?? Piece(id: order.id)
    do {
      if try writer.readPrompt() { return true }
      piece.append(texts[index].stream.add(texts[index].filter.add(try writer.next())))
      texts[index].written += 1
      piece.tokens = texts[index].written
      if texts[index].written >= order.length || texts[index].filter.isOver {
        piece.append(texts[index].stream.add(texts[index].filter.finish()))
        piece.append(texts[index].stream.finish())
        piece.isComplete = true
        texts[index].writer = nil
      }
    } catch {
      piece.error = "\(error)"
      texts[index].writer = nil
    }
    pieces[order.id] = piece
    return texts[index].writer != nil
  }
}

extension Parameters {
  /// Parameters of their own with the same numbers. Throws `KernelError.outOfMemory`.
  fileprivate func copy() throws -> Parameters {
    let copy = try Parameters(layout)
    copy.buffer.copy(from: buffer)
    return copy
  }
}
