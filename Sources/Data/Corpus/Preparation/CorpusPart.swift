/// A part of a corpus: training, validation or test.
public enum CorpusPart: String, Codable, CaseIterable, Sendable {
  case train, validation, test

  /// As it is called in messages.
  var name: String { self == .train ? "training" : rawValue }
}

/// One value for each part of a corpus.
public struct PartMap<Value> {
  public var train: Value
  public var validation: Value
  public var test: Value

  public init(train: Value, validation: Value, test: Value) {
    self.train = train
    self.validation = validation
    self.test = test
  }

  public subscript(part: CorpusPart) -> Value {
    switch part {
    case .train: train
    case .validation: validation
    case .test: test
    }
  }

  public func map<Result>(_ transform: (CorpusPart, Value) throws -> Result) rethrows -> PartMap<Result> {
    PartMap<Result>(
      train: try transform(.train, train), validation: try transform(.validation, validation),
      test: try transform(.test, test))
  }

  /// The three values in the order of `CorpusPart.allCases`.
  public var all: [Value] { [train, validation, test] }
}

extension PartMap: Equatable where Value: Equatable {}
extension PartMap: Sendable where Value: Sendable {}
extension PartMap: Encodable where Value: Encodable {}
extension PartMap: Decodable where Value: Decodable {}
