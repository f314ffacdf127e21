// What values of requests may be. The server refuses others; the API's description states the same bounds.

extension GenerationRequest {
  /// Unicode scalars.
  public static let longestPrompt = 4096
  public static let lengths = 1...10_000
  public static let temperatures = 0.0...100.0
  public static let topKs = 0...1_000_000
  /// 0 is not among them: it would leave no token.
  public static let largestTopP = 1.0
  public static let minPs = 0.0...1.0
  public static let mostStops = 16
  /// Unicode scalars of a text that ends another, one at least.
  public static let longestStop = 256

  /// Throws `ErrorBody` that names the field, what it may be and what it is.
  public func validate() throws {
    let scalars = prompt.unicodeScalars.count
    if scalars > Self.longestPrompt {
      throw ErrorBody.badRequest("prompt: expected at most \(Self.longestPrompt) characters, found \(scalars)")
    }
    if prompt.isEmpty, !begin {
      throw ErrorBody.badRequest("prompt: expected a text where begin is false, found an empty one")
    }
    try check("length", length, Self.lengths)
    try check("temperature", temperature, Self.temperatures)
    try check("topK", topK, Self.topKs)
    guard topP > 0, topP <= Self.largestTopP else {
      throw ErrorBody.badRequest("topP: expected a number above 0 and up to \(Self.largestTopP), found \(topP)")
    }
    try check("minP", minP, Self.minPs)
    if stop.count > Self.mostStops {
      throw ErrorBody.badRequest("stop: expected at most \(Self.mostStops) texts, found \(stop.count)")
    }
    for text in stop where !(1...Self.longestStop).contains(text.unicodeScalars.count) {
      throw ErrorBody.badRequest(
        "stop: expected texts of 1 to \(Self.longestStop) characters, found one of \(text.unicodeScalars.count)")
    }
  }
}

extension JobSubmission {
  public static let mostSettings = 1000

  /// Throws `ErrorBody`. What the configuration says is for the daemon to judge.
  public func validate() throws {
    if configuration.isEmpty {
      throw ErrorBody.badRequest("configuration: expected the text of a run's YAML file, found nothing")
    }
    if settings.count > Self.mostSettings {
      throw ErrorBody.badRequest("settings: expected at most \(Self.mostSettings), found \(settings.count)")
    }
  }
}

extension JobMove {
  public static let positions = 0...1_000_000

  /// Throws `ErrorBody`.
  public func validate() throws { try check("position", position, Self.positions) }
}

private func check<Value>(_ field: String, _ value: Value, _ range: ClosedRange<Value>) throws {
  if !range.contains(value) {
    throw ErrorBody.badRequest(
      "\(field): expected a number from \(range.lowerBound) to \(range.upperBound), found \(value)")
  }
}
