/// The fields of a request: one that is not known is an error and not passed over, since it may be a known one
/// misspelt; so is `null`, which no field can be. Every error says which field it is about.
struct StrictContainer<Key: CodingKey & CaseIterable> {
  private let container: KeyedDecodingContainer<Key>

  init(_ decoder: any Decoder) throws {
    let known = Key.allCases.map(\.stringValue)
    for field in try decoder.container(keyedBy: AnyKey.self).allKeys where !known.contains(field.stringValue) {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath,
          debugDescription: "unknown field '\(field.stringValue.prefix(40))'; known here: "
            + known.joined(separator: ", ")))
    }
    container = try decoder.container(keyedBy: Key.self)
  }

  func value<Value: Decodable>(_ key: Key) throws -> Value {
    do {
      return try container.decode(Value.self, forKey: key)
    } catch let error where !(error is DecodingError) {
      // So Foundation says that a number or a text has no counterpart in Swift; it does not say where.
      throw DecodingError.typeMismatch(Value.self, .init(codingPath: [key], debugDescription: ""))
    }
  }

  /// What a field has when it is left out comes second.
  func value<Value: Decodable>(_ key: Key, or standard: Value) throws -> Value {
    container.contains(key) ? try value(key) : standard
  }

  func valueIfGiven<Value: Decodable>(_ key: Key, _ type: Value.Type) throws -> Value? {
    if !container.contains(key) { return nil }
    let given: Value = try value(key)  // no optional, which `null` would be
    return given
  }

  /// One of some words.
  func choice<Value: CaseIterable & RawRepresentable<String>>(_ key: Key, or standard: Value) throws -> Value {
    let word = try value(key, or: standard.rawValue)
    if let choice = Value(rawValue: word) { return choice }
    throw DecodingError.dataCorrupted(
      .init(
        codingPath: [key],
        debugDescription: "expected one of \(Value.allCases.map(\.rawValue).joined(separator: ", ")), "
          + "found '\(word.prefix(40))'"))
  }

  private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }
}
