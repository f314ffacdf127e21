/// A predictor of any kind, with contexts of any kind.
final class AnyPredictor: Predictor {
  let vocabularySize: Int
  private let make: () throws -> Any
  private let duplicate: (Any) throws -> Any
  private let append: (Any, Int32) throws -> Void
  private let predict: (Any) throws -> UnsafeBufferPointer<Float>
  private let measure: ([[Int32]]) throws -> [[Double]]

  init<P: Predictor>(_ predictor: P) {
    vocabularySize = predictor.vocabularySize
    // What comes in are contexts that it has made itself.
    make = { try predictor.makeContext() }
    duplicate = { try predictor.copy(of: $0 as! P.Context) }
    append = { try predictor.advance($0 as! P.Context, by: $1) }
    predict = { try predictor.logits(after: $0 as! P.Context) }
    measure = { try predictor.losses(of: $0) }
  }

  func makeContext() throws -> Any { try make() }
  func copy(of context: Any) throws -> Any { try duplicate(context) }
  func advance(_ context: Any, by token: Int32) throws { try append(context, token) }
  func logits(after context: Any) throws -> UnsafeBufferPointer<Float> { try predict(context) }
  func losses(of texts: [[Int32]]) throws -> [[Double]] { try measure(texts) }
}
