/// How far a preparation is.
public struct PreparationProgress: Equatable, Sendable {
  public enum Phase: String, Sendable {
    /// Making the sample text; counted in lines.
    case sampling
    /// Copying what can be read only once; counted in bytes, of which nobody knows how many will come: of 0.
    case copying
    /// Counting tokens and gathering the vocabulary; counted in bytes of text.
    case surveying
    /// Writing the tokens; counted in bytes of text.
    case encoding
  }

  public var phase: Phase
  public var done: Int
  public var total: Int
}
