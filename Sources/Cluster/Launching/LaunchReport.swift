import Files
import Foundation

/// The faults of a run under the launcher, and the restarts after them.
struct LaunchReport {
  private struct Incident {
    let date: Date
    /// Seconds on the clock of the caller.
    let time: Double
    let what: String
    var recovery: String?
  }

  private var incidents: [Incident] = []

  var isEmpty: Bool { incidents.isEmpty }

  /// It was found at `time`; both are seconds on the caller's clock.
  mutating func add(_ what: String, at time: Double, now: Double, date: Date = Date()) {
    incidents.append(Incident(date: date - (now - time), time: time, what: what))
  }

  /// The ranks train again, after the last incident.
  mutating func recovered(at time: Double, ranks: Int?) {
    guard let last = incidents.indices.last, incidents[last].recovery == nil else { return }
    let seconds = Int((time - incidents[last].time).rounded())
    incidents[last].recovery = "training again \(seconds) s later" + (ranks.map { " on \(counted($0, "rank"))" } ?? "")
  }

  /// One paragraph; `end` says how it ended.
  func paragraph(end: String) -> String {
    let format = DateFormatter()
    format.locale = Locale(identifier: "en_US_POSIX")
    format.dateFormat = "yyyy-MM-dd HH:mm:ss"
    return
      ([end] + incidents.map { "\(format.string(from: $0.date)): \($0.what)" + ($0.recovery.map { "; \($0)" } ?? "") })
      .joined(separator: ". ") + "."
  }
}
