import CNGrams
import Corpus
import Files
import Foundation
import HDF5Files

/// A model of n-grams, in a form that a file has byte for byte: a file is mapped, and used at once whatever its size.
///
/// After the header of all our files (kind "ngrams", see `ContainerHeader`) come, each from a multiple of 64 bytes on: the
/// metadata and the vocabulary as JSON, each after its length; and of each order five numbers of 8 bytes (n-grams, bytes of a
/// word, bytes of a code, different backoffs, 0) with the words, the children, log10 p, the codes and log10 of the backoffs
/// that they stand for (see `NGramTree`). A backoff is kept as the number of its value, since few values are different.
public final class NGramModel: @unchecked Sendable {
  /// Kind and version of the file.
  public static let kind = "ngrams"
  static let formatVersion = 1
  /// Files up to this size are checked whole when they are opened; larger ones when they are inspected.
  public static let checkedSize = 256 << 20

  public let metadata: NGramMetadata
  public let vocabulary: Vocabulary
  /// Header and all.
  private let bytes: UnsafeRawBufferPointer
  private let owner: AnyObject
  private let tables: [ngrams_table]
  private let lineEnd: Int32?

  public var order: Int { tables.count }
  /// N-grams of each order; those of the first are the words, `<s>` among them.
  public var counts: [Int] { tables.enumerated().map { $1.count - ($0 == 0 ? 1 : 0) } }
  /// Bytes of the file.
  public var size: Int { bytes.count }

  /// `<s>`, which stands before a sentence.
  var begin: UInt32 { UInt32(vocabulary.count + 1) }

  // MARK: Making one

  /// Traps for a tree that does not fit the vocabulary. Throws what encoding the metadata throws.
  public convenience init(_ tree: NGramTree, _ vocabulary: Vocabulary, _ metadata: NGramMetadata) throws {
    let image = NGramImage()
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    image.appendText(Array(try encoder.encode(metadata)))
    image.appendText(vocabulary.kind == .bytes ? [] : Array(try JSONEncoder().encode(vocabulary.entries)))
    for (place, level) in tree.levels.enumerated() {
      image.append(level, wordSize: Self.wordSize(vocabulary), isLast: place + 1 == tree.levels.count)
    }
    image.close(kind: Self.kind, formatVersion: Self.formatVersion)
    try self.init(image.bytes, owner: image, path: "a model")
  }

  /// Bytes that each word takes: <s> has the largest number.
  private static func wordSize(_ vocabulary: Vocabulary) -> Int {
    vocabulary.count + 1 <= UInt8.max ? 1 : vocabulary.count + 1 <= UInt16.max ? 2 : 4
  }

  /// Replaces the file whole or not at all. Throws `FileError`.
  public func write(to path: String) throws {
    try OutputFile.replace(path) { try $0.write(bytes) }
  }

  // MARK: Opening one

  /// Maps a file, and checks it whole unless it is larger than `checkedSize`. Throws `FileError`, `HDF5Error` for what is
  /// damaged, newer or no file of ours, and `NGramModelError`.
  public convenience init(_ path: String) throws {
    let file = try MappedFile(path)
    let header = try ContainerHeader(of: file)
    guard header.kind == Self.kind, header.formatVersion <= Self.formatVersion else {
      throw NGramModelError(
        path,
        "expected an n-gram model of version \(Self.formatVersion), found \(header.kind) of version "
          + "\(header.formatVersion)", remedy: "use a file that `lockstep ngram` wrote, or a newer Lockstep")
    }
    if file.bytes.count <= Self.checkedSize { try header.verify(file) }
    try self.init(file.bytes, owner: file, path: path)
  }

  /// Reads every byte of a file against its digest. Throws `HDF5Error` and `FileError`.
  public static func verify(_ path: String) throws {
    let file = try MappedFile(path)
    try ContainerHeader(of: file).verify(file)
  }

  private init(_ bytes: UnsafeRawBufferPointer, owner: AnyObject, path: String) throws {
    self.bytes = bytes
    self.owner = owner
    var reader = ImageReader(bytes, path)
    let (metadata, tokens) = (try reader.text(), try reader.text())
    do {
      self.metadata = try JSONDecoder().decode(NGramMetadata.self, from: Data(metadata))
    } catch { throw reader.damaged("its metadata cannot be read") }
    guard NGramModel.orders.contains(self.metadata.order) else {
      throw reader.damaged("it is of order \(self.metadata.order)")
    }
    let kind = self.metadata.tokenizer
    vocabulary = kind == .bytes ? .bytes : try Vocabulary(kind: kind, json: tokens, source: path)
    lineEnd = vocabulary.lineEnd
    tables = try (1...self.metadata.order).map { [vocabulary, order = self.metadata.order] level in
      try reader.level(level, of: order, words: vocabulary.count + 2, wordSize: NGramModel.wordSize(vocabulary))
    }
    sentence = Self.sentence(tables, begin: UInt32(vocabulary.count + 1))
    try reader.requireEnd()
  }

  public static let orders = 1...Int(NGRAMS_MOST_ORDER)

  // MARK: Use

  /// What is remembered of a text.
  public struct State: Sendable {
    fileprivate var words = ngrams_state()

    public init() {}
  }

  /// At the beginning of a sentence.
  public let sentence: State

  private static func sentence(_ tables: [ngrams_table], begin: UInt32) -> State {
    var state = State()
    guard tables.count > 1 else { return state }
    state.words.length = 1
    state.words.words.0 = begin
    state.words.backoffs.0 = tables.withUnsafeBufferPointer { ngrams_backoff($0.baseAddress!, Int(begin)) }
    return state
  }

  private func backoff(of place: Int, level: Int) -> Float {
    tables.withUnsafeBufferPointer { ngrams_backoff($0.baseAddress! + level, place) }
  }

  /// log10 p of a token after a text, to which it is added, and the order of the n-gram that told. After the token that ends a
  /// line comes another sentence. Traps for a token that is not of the vocabulary.
  public func score(_ token: Int32, after state: inout State) -> (log10: Float, order: Int) {
    precondition(token >= 0 && token < vocabulary.count)
    var matched: Int32 = 0
    let result = tables.withUnsafeBufferPointer { tables in
      withUnsafeMutablePointer(to: &state.words) {
        ngrams_score(tables.baseAddress, Int32(order), UInt32(token) + 1, $0, $0, &matched)
      }
    }
    if token == lineEnd { state = sentence }
    return (result, Int(matched))
  }

  /// The same of many tokens in turn, faster: log10 p of each and its order go to the front of `results` and `orders`.
  public func score(
    _ tokens: UnsafeBufferPointer<Int32>, after state: inout State, _ results: UnsafeMutableBufferPointer<Float>,
    orders: UnsafeMutableBufferPointer<UInt8>
  ) {
    precondition(results.count >= tokens.count && orders.count >= tokens.count)
    precondition(tokens.allSatisfy { $0 >= 0 && $0 < vocabulary.count })
    var words = sentence.words
    tables.withUnsafeBufferPointer {
      ngrams_score_text(
        $0.baseAddress, Int32(order), tokens.baseAddress, tokens.count, lineEnd ?? -1, &words, &state.words,
        results.baseAddress, orders.baseAddress)
    }
  }

  /// log10 p of each token of the vocabulary after a text. `output` has room for them.
  public func distribution(after state: State, into output: UnsafeMutableBufferPointer<Float>) {
    precondition(output.count >= vocabulary.count)
    var words = state.words
    tables.withUnsafeBufferPointer {
      ngrams_distribution($0.baseAddress, Int32(order), UInt32(vocabulary.count), &words, output.baseAddress)
    }
  }

  /// How far from 1 the probabilities after a context sum, at most: of as many contexts, spread over those that the model
  /// knows, and of none.
  public func checkSums(contexts: Int) -> (largestError: Double, contexts: Int) {
    let output = UnsafeMutableBufferPointer<Float>.allocate(capacity: vocabulary.count)
    defer { output.deallocate() }
    var (largest, checked) = (0.0, 0)
    func check(_ state: State) {
      distribution(after: state, into: output)
      largest = max(largest, abs(output.reduce(0.0) { $0 + pow(10, Double($1)) } - 1))
      checked += 1
    }
    check(State())
    check(sentence)
    for order in 1..<max(order, 1) {
      let stride = max(tables[order - 1].count * (self.order - 1) / max(contexts - 2, 1), 1)
      var place = 0
      forEach(order: order) { words, _, _ in
        defer { place += 1 }
        // What ends a sentence is no context; a forged file may have words that are none.
        guard place % stride == 0, !words.dropFirst().contains(begin), !words.contains(endWord),
          words.allSatisfy({ (1...begin).contains($0) })
        else { return }
        var state = words[0] == begin ? sentence : State()
        for word in words where word != begin { _ = score(Int32(word) - 1, after: &state) }
        check(state)
      }
    }
    return (largest, checked)
  }

  /// 0 where lines have no end.
  private var endWord: UInt32 { lineEnd.map { UInt32($0) + 1 } ?? UInt32.max }

  // MARK: Reading all

  /// Every n-gram of an order, sorted backward: its words from the first to the last, log10 p, and log10 of its backoff, which
  /// the highest order has not. `body` may throw.
  public func forEach(
    order: Int, _ body: (_ words: UnsafeBufferPointer<UInt32>, _ log10: Float, _ backoff: Float?) throws -> Void
  ) rethrows {
    var cursor = ngrams_cursor()
    cursor.order = Int32(order)
    var words = [UInt32](repeating: 0, count: order)
    let level = tables[order - 1]
    while cursor.place < level.count {
      ngrams_words(tables, &cursor, &words)
      try words.withUnsafeBufferPointer {
        try body(
          $0, level.probabilities[cursor.place],
          order == self.order ? nil : backoff(of: cursor.place, level: order - 1))
      }
      cursor.place += 1
    }
  }

  /// As many lines of an ARPA file as there is room for, from a cursor on; see `ngrams_lines`.
  func lines(
    _ cursor: inout ngrams_cursor, _ names: [UInt8], _ starts: [Int], into room: UnsafeMutableRawBufferPointer
  ) -> Int {
    names.withUnsafeBytes { names in
      starts.withUnsafeBufferPointer { starts in
        ngrams_lines(
          tables, Int32(order), &cursor, names.baseAddress?.assumingMemoryBound(to: CChar.self), starts.baseAddress,
          begin, room.baseAddress?.assumingMemoryBound(to: CChar.self), room.count)
      }
    }
  }
}
