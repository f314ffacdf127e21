/// How long something will still take, guessed from how it went so far.
public struct TimeLeft {
  private let begun = ContinuousClock.now

  public init() {}

  /// Time since it began, in seconds.
  public var seconds: Double { (ContinuousClock.now - begun) / .seconds(1) }

  /// "12 %, 40s left"; no time where too little has been done to guess.
  public func text(_ done: Int, of total: Int) -> String {
    guard total > 0, done > 0 else { return "0 %" }
    let percent = "\(min(100, done * 100 / total)) %"
    return seconds < 0.5 ? percent : "\(percent), \(duration(seconds * Double(total - done) / Double(done))) left"
  }
}

/// Seconds as people say them: "4.2s", "1m05s", "2h10m".
public func duration(_ seconds: Double) -> String {
  guard seconds.isFinite else { return "?" }
  let whole = Int(seconds.rounded())
  func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
  if whole >= 3600 { return "\(whole / 3600)h\(two(whole % 3600 / 60))m" }
  if whole >= 60 { return "\(whole / 60)m\(two(whole % 60))s" }
  return seconds < 10 ? "\((seconds * 10).rounded() / 10)s" : "\(whole)s"
}
