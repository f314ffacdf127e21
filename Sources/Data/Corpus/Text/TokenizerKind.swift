/// What one token is.
public enum TokenizerKind: String, Codable, CaseIterable, Sendable {
  /// One Unicode scalar of a UTF-8 text. A byte-order mark at the start of a file is dropped; all else, CRLF
  /// and composed or decomposed letters included, stays as it is.
  case characters

  /// One byte, whatever it means: 256 tokens, a byte-order mark kept.
  case bytes

  /// One word of a UTF-8 text, split on white space, with `<eos>` for every "\n"; a word that is not in the
  /// vocabulary is `<unk>`. The number of tokens is what `LC_ALL=C.UTF-8 wc -w` and `wc -l` say together.
  ///
  /// White space is what GNU wc takes for it: U+0009...U+000D (so CRLF works), U+0020, U+00A0, U+1680,
  /// U+2000...U+200A, U+202F, U+205F, U+2060 and U+3000. Not among them: U+0085, U+200B, U+2028, U+2029. Any
  /// other run of characters is a word (some versions of wc skip one made only of control characters).
  /// A byte-order mark at the start of a file is dropped; a last line without "\n" gives no `<eos>`.
  case words
}
