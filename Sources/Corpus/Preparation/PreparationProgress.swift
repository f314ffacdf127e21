/// How far a preparation is.
public struct PreparationProgress: Equatable, Sendable {
  public enum Phase: String, Sendable {
    /// Making the sample text; counted in lines.
    case sampling
    /// Counting tokens and gathering the vocabulary; counted in bytes of text.
    case surveying
    /// Writing the tokens; counted in bytes of text.
    case encoding
  }

  public var phase: Phase
  public var done: Int
  public var total: Int
}
