import Runs
import Terminal

/// Writes each event as a line of JSON.
public final class JSONReporter: Reporter {
  private var lastProgress: ContinuousClock.Instant?

  public init() {}

  public func report(_ event: RunEvent) {
    switch event {
    case .preparing, .evaluating:  // of which there may be thousands: one a second
      let now = ContinuousClock.now
      if let lastProgress, now - lastProgress < .seconds(1) { return }
      lastProgress = now
    case .curve: return  // the steps have been told
    default: break
    }
    do {
      Console.output(try jsonText(event) + "\n")
    } catch {
      Console.error("cannot write an event as JSON: \(error)\n")
    }
  }
}
