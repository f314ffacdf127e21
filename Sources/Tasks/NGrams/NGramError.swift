/// What a text or a setting does not allow.
public enum NGramError: Error, Equatable, CustomStringConvertible {
  case countTooLarge
  /// A word of the text that stands for the beginning or the end of a sentence.
  case mark(String)

  public var description: String {
    switch self {
    case .countTooLarge:
      "expected no n-gram more than \(UInt32.max) times, found one; take fewer texts, or a longer order"
    case .mark(let mark):
      "expected no word \(mark) in the text, since it stands for an end of a sentence, found it; take it out: lines are sentences"
    }
  }
}
