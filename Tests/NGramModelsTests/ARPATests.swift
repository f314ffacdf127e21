import Corpus
import Files
import Foundation
import TestSupport
import Testing

@testable import NGramModels

@Suite struct ARPATests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func read(_ text: String) throws -> NGramModel { try ARPAReader.read(folder.write("model.arpa", text)) }

  /// As SRILM writes: blanks, no backoff where it is 1, -99 for what is never predicted, and an n-gram without what it ends
  /// with.
  private static let srilm = """
    \\data\\
    ngram 1=5
    ngram 2=4
    ngram 3=2

    \\1-grams:
    -1.5 </s>
    -99 <s> -0.5
    -0.7 a -0.25
    -0.9 b -0.1
    -2 <unk>

    \\2-grams:
    -0.3 <s> a -0.2
    -0.6 a b -0.05
    -0.4 b </s>
    -0.8 b a

    \\3-grams:
    -0.2 <s> a b
    -0.1 b b a

    \\end\\
    """

  private func log10(_ model: NGramModel, _ words: [String], begins: Bool = true) throws -> [Float] {
    var state = begins ? model.sentence : NGramModel.State()
    return try words.map { model.score(try #require(model.vocabulary.id(of: $0.utf8)), after: &state).log10 }
  }

  @Test func filesOfSRILMAreRead() throws {
    let model = try read(Self.srilm)
    // The trigram b b a begins with b b, which is put in.
    #expect(model.order == 3 && model.counts == [5, 5, 2])
    #expect(try log10(model, ["a", "b", "<eos>"]) == [-0.3, -0.2, -0.05 + -0.4])
    // b after b was not seen: backed off from b.
    let found = try log10(model, ["b", "b", "a"], begins: false)
    for (one, other) in zip(found, [-0.9, -0.1 + -0.9, -0.1]) { #expect(abs(one - Float(other)) < 1e-6) }
    #expect(try log10(model, ["<unk>"]) == [-0.5 + -2])
  }

  @Test func whatAnNGramEndsWithIsPutIn() throws {
    let model = try read(
      """
      \\data\\
      ngram 1=4
      ngram 2=1
      ngram 3=1

      \\1-grams:
      -1 </s>
      -0.5 a -0.25
      -0.6 b -0.125
      -0.7 c

      \\2-grams:
      -0.3 a b -0.0625

      \\3-grams:
      -0.2 a b c

      \\end\\
      """)
    // b c has the p of backing off from b; <unk> and <s> were missing.
    #expect(model.counts == [6, 2, 1])
    #expect(try log10(model, ["b", "c"], begins: false) == [-0.6, -0.125 + -0.7])
    #expect(try log10(model, ["a", "b", "c"], begins: false) == [-0.5, -0.3, -0.2])
  }

  @Test(arguments: ["arpa", "arpa.gz", "arpa.bz2", "arpa.xz"]) func whatIsWrittenReadsTheSame(ending: String) throws {
    let model = try read(Self.srilm)
    try model.writeARPA(to: folder.file("again.\(ending)"))
    let again = try ARPAReader.read(folder.file("again.\(ending)"))
    #expect(again.vocabulary == model.vocabulary && again.counts == model.counts)
    for order in 1...3 {
      var (one, other): ([Float], [Float]) = ([], [])
      model.forEach(order: order) { words, probability, backoff in
        one += words.map { Float($0) } + [probability, backoff ?? 0]
      }
      again.forEach(order: order) { words, probability, backoff in
        other += words.map { Float($0) } + [probability, backoff ?? 0]
      }
      // <s> is not predicted: it has no p of its own.
      #expect(one.count == other.count && zip(one, other).allSatisfy { $0 == $1 || $0 == -99 })
    }
  }

  @Test(arguments: [
    ("\\data\\\nngram 1=5", "\\data\\\nngram 1=6", "expected 6 1-grams"),
    ("ngram 2=4", "ngram 2=3", "expected 3 2-grams"),
    ("ngram 2=4", "ngram 4=4", "expected 'ngram 2='"),
    ("ngram 3=2", "ngram 3=99999999999999999999", "expected a line as 'ngram 1=5000'"),
    ("ngram 3=2", "ngram 3=2\nngram 4=0", "expected '\\4-grams:'"),
    ("-0.7 a", "0.7 a", "a probability, which is at most 0"),
    ("-0.7 a", "nan a", "a probability, which is at most 0"),
    ("-0.7 a", "0x1 a", "a probability, which is at most 0"),
    ("a -0.25", "a inf", "log10 of a backoff"),
    ("-0.6 a b", "-0.6 a d", "words that are among the 1-grams"),
    ("-0.6 a b", "-0.6 a <s>", "<s> as the first word"),
    ("-0.8 b a", "-0.8 a b", "expected different n-grams"),
    ("-0.9 b", "-0.9 a", "expected different words"),
    ("-1.5 </s>", "-1.5 d", "</s> among the 1-grams"),
    ("-0.2 <s> a b", "-0.2 <s> a b 0.1 0.2", "a number, 3 words"),
    ("\\end\\", "", "'\\end\\'"),
    ("\\2-grams:", "\\two-grams:", "'\\2-grams:'"),
    ("\\data\\", "data", "'\\data\\' on one of its first"),
  ]) func whatIsWrongIsNamed(part: String, other: String, problem: String) throws {
    let text = Self.srilm.replacing(part, with: other, maxReplacements: 1)
    try #require(text != Self.srilm)
    do {
      _ = try read(text)
      Issue.record("read \(other)")
    } catch let error as NGramModelError {
      #expect("\(error)".contains(problem), "\(error)")
      #expect("\(error)".contains("model.arpa"), "\(error)")
    }
  }

  @Test func hugeWordsAndOrdersAreRefused() throws {
    let word = String(repeating: "x", count: 1 << 20)
    #expect(throws: NGramModelError.self) { _ = try read(Self.srilm.replacing("-0.7 a", with: "-0.7 \(word)")) }
    let counts = (1...11).map { "ngram \($0)=1" }.joined(separator: "\n")
    let error = #expect(throws: NGramModelError.self) { _ = try read("\\data\\\n\(counts)\n") }
    #expect("\(error!)".contains("orders up to 10"))
    #expect(throws: NGramModelError.self) { _ = try read("") }
  }

  /// Whatever a file has in it, it is read or refused, and what is read can be used. More of them:
  /// `LOCKSTEP_MUTATIONS=50000 launch/test --filter ARPATests`.
  @Test func damagedFilesDoNoHarm() throws {
    let bytes = Array(Self.srilm.utf8)
    var (loaded, count) = (0, 0)
    forEachMutation(count: 2000) { _, mutator in
      count += 1
      do {
        let model = try ARPAReader.read(folder.write("damaged.arpa", mutator.mutate(bytes)))
        _ = model.checkSums(contexts: 10)
        loaded += 1
      } catch {
        #expect(
          error is NGramModelError || error is CorpusError || error is PackedFileError || error is LineError, "\(error)"
        )
      }
    }
    #expect(loaded > count / 50)
  }
}
